"""The peers one could have: which to dial, and who makes room when places are short. Pure."""
