"""What goes wrong between and within the peers: connections, handlers, processes."""
