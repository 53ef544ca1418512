"""The tracker over UDP: sockets, datagrams, and the loop that serves them."""
