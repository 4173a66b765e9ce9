"""The worker's side: one process per stream, and the only importer of gi.

Read spec and messages (what is asked and told; no gi, the manager's side uses them too, and
sockets), then forkserver, worker, link; then source with build, codecs, assembly, joint, media
and faults; then record.
"""
