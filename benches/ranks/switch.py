"""A network with a limited rate and a delay, for machines that are network namespaces.

    python3 switch.py RATE DELAY NAMESPACE...     (RATE: bits per second, DELAY: seconds)

Lays a cable to each namespace, where its end is `eth0`, and forwards each Ethernet frame: the frame first waits for the cable
of its sender, then travels for DELAY, then waits for the cable of its receiver. A frame that would wait for a cable for more
than 50 ms is lost, as in a switch whose memory is full. `tc` with `netem` does this in the kernel, which may not have it. Needs
root and /dev/net/tun. Prints a line when the cables are laid, ends with its standard input, and then says how many frames were
lost.
"""

import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
MTU = 9000  # of jumbo frames, so that this program handles few
LONGEST_WAIT = 0.05  # seconds


def cable(namespace: str, number: int) -> int:
    """Returns the near end of a cable to a namespace."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"ossia{os.getpid() % 10000}-{number}"
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "netns", namespace, "name", "eth0"], check=True)
    subprocess.run(["ip", "-n", namespace, "link", "set", "eth0", "mtu", str(MTU)], check=True)
    return end


class Switch:
    def __init__(self, rate: float, delay: float, cables: list[int]):
        self.rate, self.delay, self.cables = rate, delay, cables
        self.sent = {end: 0.0 for end in cables}  # when the cable from a machine is free
        self.received = {end: 0.0 for end in cables}  # when the cable to a machine is free
        self.port = {}  # which cable leads to a hardware address
        self.events = []  # (time, number, frame, cable, is it at the switch?), the next one first
        self.count = 0
        self.lost = 0

    def pass_on(self, busy: dict, end: int, frame: bytes, now: float) -> float | None:
        """Returns when a frame that is at a cable now has passed it; None if it is lost."""
        start = max(now, busy[end])
        if start - now > LONGEST_WAIT:
            self.lost += 1
            return None
        busy[end] = start + 8 * len(frame) / self.rate
        return busy[end]

    def plan(self, when: float | None, frame: bytes, end: int, at_switch: bool) -> None:
        if when is not None:
            self.count += 1
            heapq.heappush(self.events, (when, self.count, frame, end, at_switch))

    def read(self, end: int) -> None:
        """Takes all frames that a machine has sent."""
        while True:
            try:
                frame = os.read(end, MTU + 14)
            except BlockingIOError:
                return
            self.port[frame[6:12]] = end
            passed = self.pass_on(self.sent, end, frame, time.monotonic())
            if passed is not None:
                to = self.port.get(frame[:6])
                for other in [to] if to else [other for other in self.cables if other != end]:
                    self.plan(passed + self.delay, frame, other, True)

    def next(self) -> None:
        """Does what comes next: a frame has arrived at the switch, or has passed the cable to its receiver."""
        when, _, frame, end, at_switch = heapq.heappop(self.events)
        if at_switch:
            self.plan(self.pass_on(self.received, end, frame, when), frame, end, False)
            return
        try:
            os.write(end, frame)
        except OSError:  # the machine is not started yet, or its queue is full
            self.lost += 1


def main() -> None:
    cables = [cable(namespace, i) for i, namespace in enumerate(sys.argv[3:])]
    switch = Switch(float(sys.argv[1]), float(sys.argv[2]), cables)
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while switch.events and switch.events[0][0] <= now:
            switch.next()
        pause = max(0.0, switch.events[0][0] - time.monotonic()) if switch.events else None
        for end in select.select([*cables, sys.stdin], [], [], pause)[0]:
            if end is sys.stdin:
                print(f"switch.py: {switch.count} events, {switch.lost} frames lost", file=sys.stderr)
                return
            switch.read(end)


main()
