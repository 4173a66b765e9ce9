"""How fast and how small it is, measured on the real `stream-manager run` process.

Read in this order: figures (what a measurement is), report (how it is shown), machine and process
(what the kernel tells), rig and cameras (what is measured), growth and peers (bytes on disk, and
others beside us), then one module a subject: start, heal, freeze, reboot, capacity, storm.
"""
