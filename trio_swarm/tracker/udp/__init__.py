"""The tracker over UDP (BEP 15, BEP 41 and names).

Reading order: `server` (the loop of a socket, which shows the whole way), `requests` (a batch of
datagrams is read), `answering` (the store is asked, its answers are encoded). They need
`connection_ids` (how a sender proves its address), `batch` and `sockets` (datagrams and the
system), and `steering` where several workers answer (which of them gets a datagram).
"""
