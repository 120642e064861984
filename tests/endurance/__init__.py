"""Long runs with figures, apart from the tests: `make storm` and `make soak`."""
