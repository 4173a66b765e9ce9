"""How fast and how small it is, measured on the real `stream-manager run` process.

Read in this order: figures (what a measurement is), report (how it is shown), machine and process
(what the kernel tells), rig and cameras (what is measured), growth and peers (bytes on disk, and
others beside us), then one module a subject: start, heal, freeze, reboot, faults, capacity and
segments of the product; core and storm of the recovery engine; guards, retries and imports of the
library, the guards beside their peers where those are installed.
"""
