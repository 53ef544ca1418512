"""Files on disk: layout, verification, resume. Blocking; threads call it."""
