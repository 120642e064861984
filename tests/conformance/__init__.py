"""What the standard wants of an association, as data, against any acceptor and against our own requestor."""
