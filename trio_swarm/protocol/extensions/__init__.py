"""Extensions of the peer wire: the BEP 10 handshake, and each extension's messages. Pure."""
