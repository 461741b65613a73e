"""A network with a limited rate and a delay, for machines that are network namespaces.

    python3 switch.py RATE DELAY NAMESPACE...     (RATE: bits per second, DELAY: seconds)

Lays a cable to each namespace, where its end is `eth0`, and forwards each Ethernet frame: the frame first waits for the cable
of its sender, then travels for DELAY, then waits for the cable of its receiver. A frame that would wait for more than 50 ms is
lost, as in a switch whose memory is full. `tc` with `netem` does this in the kernel, which may not have it. Needs root.
Prints a line when the cables are laid, and ends with its standard input.
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


def main() -> None:
    rate, delay = float(sys.argv[1]), float(sys.argv[2])
    cables = [cable(namespace, i) for i, namespace in enumerate(sys.argv[3:])]
    print("ready", flush=True)
    sent = {end: 0.0 for end in cables}  # when the cable from the machine is free
    received = {end: 0.0 for end in cables}  # when the cable to the machine is free
    port = {}  # which cable leads to a hardware address
    travelling = []  # (time, number, frame, cable): frames on their way, the next one first
    frames = 0

    def pass_on(busy: dict, end: int, frame: bytes, start: float) -> float | None:
        """Returns when a frame has passed a cable; None if it is lost."""
        start = max(start, busy[end])
        if start - time.monotonic() > LONGEST_WAIT + delay:
            return None
        busy[end] = start + 8 * len(frame) / rate
        return busy[end]

    while True:
        now = time.monotonic()
        while travelling and travelling[0][0] <= now:
            _, _, frame, end = heapq.heappop(travelling)
            try:
                os.write(end, frame)
            except OSError:
                pass  # the machine is down
        pause = max(0.0, travelling[0][0] - now) if travelling else None
        for end in select.select([*cables, sys.stdin], [], [], pause)[0]:
            if end is sys.stdin:
                return
            while True:
                try:
                    frame = os.read(end, MTU + 14)
                except OSError:
                    break
                port[frame[6:12]] = end
                passed = pass_on(sent, end, frame, time.monotonic())
                if passed is None:
                    continue
                to = port.get(frame[:6])
                for other in [to] if to else [other for other in cables if other != end]:
                    arrived = pass_on(received, other, frame, passed + delay)
                    if arrived is not None:
                        frames += 1
                        heapq.heappush(travelling, (arrived, frames, frame, other))


main()
