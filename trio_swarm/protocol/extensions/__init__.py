"""Extensions of the peer wire: the BEP 10 handshake, and each extension's messages. Pure.

Reading order: `handshake` (what each side offers), `table` (each extension: its number, its name,
who hears it), `dont_have` (BEP 54, the shortest), `metadata` (BEP 9: its messages),
`metadata_assembler` (an info dictionary from pieces of peers that may lie), `hash_fetch` (hashes of
version 2 that peers prove), `hash_answers` (what we answer them).
"""
