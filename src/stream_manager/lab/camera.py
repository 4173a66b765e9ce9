"""A simulated camera: the handle that starts it, breaks it and makes sure that it never stays.

Importing this needs no GStreamer. The camera itself is `python -m stream_manager.lab.camera`, a
process of its own (see `camera_command`), so that it can be killed and frozen like a real one.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Literal, Self

from stream_manager.errors import OutsideError, UsageError
from stream_manager.lab.picture import Picture

READY_TIMEOUT_S = 30.0
PASSWORD_VARIABLE = "LAB_CAMERA_PASSWORD"  # noqa: S105 - a variable's name, no password


class Camera:
    """One RTSP server with one or several mounts, in a process that this object owns.

    It sends `clip` (or the generated `picture`) in a loop, to each client from the first keyframe.
    With `user` and `password` it asks for them, in the manner of `auth`. With `stutter_ms` it holds
    its pictures back now and then, so that they leave up to that far apart. `port` 0 takes a free
    one and keeps it for life. Use it as a context manager; a killed owner's camera ends too.
    """

    def __init__(
        self,
        *mounts: str,
        clip: Path | None = None,
        picture: Picture | None = None,
        user: str | None = None,
        password: str | None = None,
        auth: Literal["basic", "digest"] = "digest",
        bind: str = "127.0.0.1",
        port: int = 0,
        stutter_ms: int = 0,
    ) -> None:
        self.port = port
        self._command = [
            *(sys.executable, "-m", "stream_manager.lab.camera"),
            *(part for mount in mounts or ("cam",) for part in ("--mount", mount)),
            *("--bind", bind, "--stutter-ms", str(stutter_ms)),
        ]
        self._environment = dict(os.environ)
        if clip is not None:
            self._command += ["--clip", str(clip)]
        if picture is not None:
            self._command += ["--size", f"{picture.width}x{picture.height}"]
            self._command += ["--fps", str(picture.fps), "--gop", str(picture.gop)]
        if user is not None:
            self._command += ["--user", user, "--auth", auth]
        if password is not None:
            self._command += ["--password-env", PASSWORD_VARIABLE]
            self._environment[PASSWORD_VARIABLE] = password
        self._urls: dict[str, str] = {}
        self._announced = False
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._waker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process of the running camera."""
        return self._running().pid

    def url(self, mount: str) -> str:
        """Return the URL of a mount, without user and password. Known since the first start."""
        return self._urls[mount]

    def start(self) -> None:
        """Start the camera, on the port it had before, and return once it accepts connections.

        Raises `UsageError` if the clip can't be read, the port is taken or the picture is
        impossible, and `OutsideError` if the camera ends for another reason or takes too long.
        """
        self._launch(after_s=0.0)
        self.wait_until_ready()

    def reboot(self, after_s: float) -> None:
        """Die now and come back after `after_s` seconds. Returns at once."""
        self.die()
        self._launch(after_s=after_s)

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once the camera accepts connections; raises as `start` does."""
        process = self._running()
        assert process.stdout is not None
        if self._announced:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                self.die()
                raise OutsideError(f"the camera was not ready within {timeout_s:g} s")
        line = process.stdout.readline()
        if not line:
            raise self._failure()
        ready = json.loads(line)
        self._announced = True
        self.port, self._urls = ready["port"], ready["urls"]

    def die(self) -> None:
        """End the process by SIGKILL, as a crash would. Does nothing if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        self._wake()  # before the wait, after which its pid may be another's
        process.wait()
        for pipe in (process.stdin, process.stdout, self._errors):
            assert pipe is not None
            pipe.close()

    stop = die  # a camera has nothing to finish

    def freeze(self) -> None:
        """Stop the process (SIGSTOP): sockets stay open and nothing flows."""
        process = self._running()
        if self._waker is None:
            # A stopped camera can't see that its owner died. A shell can: its pipe ends too.
            self._waker = subprocess.Popen(  # noqa: S603 - a constant script and a number
                ["/bin/sh", "-c", 'read -r _; kill -CONT "$0"', str(process.pid)],
                stdin=subprocess.PIPE,
                process_group=0,
            )
        process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen camera go on: late by up to a second in a burst, else from the present."""
        self._running()
        self._wake()

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise UsageError("the camera does not run: start it first")
        return self._process

    def _launch(self, *, after_s: float) -> None:
        if self._process is not None:
            raise UsageError("the camera already runs: stop it first")
        self._announced = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - die() closes it with the pipes
        # It ends when its stdin hangs up, which only this process holds open. In a process group
        # of its own it is spared a terminal's Ctrl-C, so that its owner ends it in due order.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, with our own options
            [*self._command, "--port", str(self.port), "--after-s", str(after_s)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,
        )

    def _failure(self) -> UsageError | OutsideError:
        """Make an error of what a camera that ended had to say."""
        process = self._running()
        status = process.wait()
        assert self._errors is not None
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        self.die()
        if status == 2:
            return UsageError(said)
        return OutsideError(f"the camera ended with status {status}: {said}")


if __name__ == "__main__":
    from stream_manager.lab.camera_command import main

    sys.exit(main())
