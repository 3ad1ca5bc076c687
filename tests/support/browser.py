"""Drives Chromium without a window, by the DevTools protocol over a pipe: NUL-ended JSON both ways."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    *(
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ),
    *("--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe"),
)

# Elements whose text sticks out of the window, apart from those in a part that scrolls
OUTSIDE = """[...document.querySelectorAll("h1, h2, h3, p, li, td, th, dd, text, figcaption")]
  .filter(e => e.getClientRects().length && !e.closest(".scroll")
    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.textContent)"""
# The least contrast of text to what is behind it
CONTRAST = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  const light = c => rgb(c).reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
  const color = e => getComputedStyle(e).backgroundColor;
  const behind = e => !e.parentElement || color(e) !== "rgba(0, 0, 0, 0)" ? color(e)
    : behind(e.parentElement);
  const texts = document.querySelectorAll(
    "p, a, td, th, text:not(.value), h1, strong, .badge, label, caption, option");
  return Math.min(...[...texts].filter(e => e.textContent && e.getClientRects().length).map(e => {
    const style = getComputedStyle(e), own = e instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(own), light(behind(e))].sort((x, y) => y - x);
    return (a + .05) / (b + .05); }));
})()"""


class Browser:
    """A browser with one page."""

    def __init__(self, profile):
        (read, self.to), (self.fro, write) = os.pipe(), os.pipe()
        # the browser reads from 3 and writes to 4; sh knows no number over 9
        command = f'exec "$0" "$@" 3<&{read} 4>&{write}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self.number, self.buffer, self.session = 0, b"", None
        self.events = []  # (method, params), as they came
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        """The result of a method of the protocol."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def read(self, seconds=60):
        """The next message; events are noted."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            left = max(0, end - time.monotonic())
            assert select.select([self.fro], [], [], left)[0], "no answer"
            part = os.read(self.fro, 1 << 20)
            assert part, "the browser has ended"
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message

    def show(self, path, width, dark=False, media=""):
        """Load a file at a width, light or dark."""
        self.visit(path.resolve().as_uri(), width, dark, media)

    def visit(self, url, width, dark=False, media=""):
        """Load the page at an address at a width, light or dark."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.call("Page.navigate", url=url)
        while "Page.loadEventFired" not in [method for method, _ in self.events]:
            self.read()

    def value(self, expression):
        """What a JavaScript expression is, or its promise comes to."""
        options = {"returnByValue": True, "awaitPromise": True}
        result = self.call("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression, seconds=30):
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            time.sleep(0.02)

    def choose(self, selector, *paths):
        """Choose files in an input of the page."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop(self, path, kind="image/png"):
        """Drop a file on the page."""
        content = base64.b64encode(path.read_bytes()).decode()
        self.value(f"""(() => {{
          const bytes = Uint8Array.from(atob("{content}"), letter => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], {json.dumps(path.name)}, {{ type: "{kind}" }}));
          const init = {{ dataTransfer: transfer, bubbles: true, cancelable: true }};
          for (const type of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(type, init));
        }})()""")

    def move(self, x, y):
        """Move the pointer to a place in the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path):
        """The whole page as a PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self):
        """The addresses that were asked for since `show`."""
        return [p["request"]["url"] for m, p in self.events if m == "Network.requestWillBeSent"]

    def complaints(self):
        """Console messages, log entries and exceptions since `show`."""
        kinds = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [params for method, params in self.events if method in kinds]

    def close(self):
        """End the browser."""
        os.close(self.to)  # it ends when its pipe is closed
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.fro)
