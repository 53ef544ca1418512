"""The built-in chokers: whom to unchoke. Pure.

Reading order: `taking_turns` (round-robin, the simplest), `fastest_first`, `tit_for_tat` (the
default).
"""
