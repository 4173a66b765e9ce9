"""A network that can be disturbed: what lies between viewers and the server that they watch.

Read `link` first: its conditions, and what they do to bytes and to datagrams; `faults` are the
words for them. `lane` carries one direction of a TCP connection, `connection` both and their end,
`listener` takes new ones in. `rtsp` reads along where RTSP is spoken, so that `gateway`, by the
fields of `transport`, leads the media that goes over UDP through `datagrams`. `witness` tells the
`facts` of each connection. `script` begins and ends faults when they are due, as the `orders` say
that the owner gives, and `server` is all of it in a process of its own.
"""
