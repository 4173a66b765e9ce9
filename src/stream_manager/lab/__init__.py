"""What stands in for the world when the product is tried, tested and measured.

Read `camera` for the handle that starts and breaks a simulated camera, `faults` for how a fault is
ordered and `camera_faults` for which there are. `camera_keeper` does what is due, by `agenda`, or
asked for, by `errands`, to a `camera_process`, and writes the `record`. In that process
(`camera_server`) `switchboard` says what switches each fault: in `viewers` (who is let in), `feed`
and `packets` (what leaves, and when) or `clip_change`. What is sent is told by `media` (the units),
`picture` and `clips` (where they come from) and `schedule` (when each goes out); `rtsp_server`
serves it.

Read `proxy` for the handle of a simulated network, and then `network`, which is that. `console`
takes orders for both kinds. `demo` is the story on top.
"""
