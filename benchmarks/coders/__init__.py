"""How each library codes a workload; imported by worker.py inside that library's environment.

Every module has `make(arrays, options)`, which returns an object with
`check()` (encode, decode, compare; returns {"bits": per symbol, "digest": of the bytes,
"symbols": their number}),
`reset(direction)` (what need not be timed), `encode()` and `decode()`.
"""
