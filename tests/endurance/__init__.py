"""Long runs with figures, apart from the tests: `make storm`, `make large` and `make soak`."""
