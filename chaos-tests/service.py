"""What runs in a vnode when tests open a service: it tells what it was asked, echoes, streams, and tries to set what it may not."""

import base64
import hashlib
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

PAGE = """<!doctype html><html lang="en"><title>Inside</title><h1>Inside</h1><p id="ws">no socket yet</p><p id="post"></p>
<script>
  document.cookie = "__Host-docklet-session=mine; Secure; Path=/";
  document.cookie = "own=1; Secure; Path=/";
  const socket = new WebSocket(`wss://${location.host}/ws`);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = ({ data }) => (document.getElementById("ws").textContent = `socket says ${data}`);
  socket.onclose = () => (document.getElementById("ws").textContent += ", and is closed");
  fetch("/count", { method: "POST", body: "12345" }).then((r) => r.text()).then((t) => (document.getElementById("post").textContent = t));
</script></html>"""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, kind="application/json", headers=()):
        body = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlparse(self.path)
        if url.path == "/ws":
            return self.socket()
        if url.path == "/big":
            return self.big(int(parse_qs(url.query)["bytes"][0]))
        if url.path == "/events":
            return self.events()
        if url.path == "/evil":
            return self.answer("{}", headers=[
                ("Set-Cookie", "__Host-docklet-session=mine; Path=/; Secure"),
                ("Set-Cookie", "wide=1; Domain=apps.localhost; Path=/"),
                ("Set-Cookie", "fine=1; Path=/"),
                ("Strict-Transport-Security", "max-age=0"),
                ("Clear-Site-Data", '"*"'),
                ("X-Own", "kept"),
            ])
        if url.path == "/redirect":
            return self.redirect(parse_qs(url.query))
        if url.path == "/":
            return self.answer(PAGE, "text/html")
        if url.path == "/later":
            time.sleep(int(parse_qs(url.query)["seconds"][0]))
        self.answer(json.dumps({"target": self.requestline, "peer": self.client_address[1], "headers": [list(h) for h in self.headers.items()]}))

    def redirect(self, query):
        self.send_response(302)
        self.send_header(query["header"][0], query["to"][0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def do_POST(self):
        count = 0
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                left = size
                while left:
                    left -= len(self.rfile.read(min(left, 1 << 16)))
                self.rfile.readline()
                count += size
                if not size:
                    break
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left:
                read = len(self.rfile.read(min(left, 1 << 16)))
                if not read:
                    break
                left -= read
                count += read
        self.answer(json.dumps({"counted": count}))

    def big(self, total):
        self.send_response(200)
        self.send_header("Content-Length", str(total))
        self.end_headers()
        chunk = bytes(1 << 18)
        while total:
            total -= self.wfile.write(chunk[:min(total, len(chunk))])

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        number = 0
        while True:
            event = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            number += 1
            time.sleep(0.1)

    def socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return
            length = head[1] & 127
            if length == 126:
                length = int.from_bytes(self.rfile.read(2), "big")
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            if head[0] & 15 == 8:
                return
            size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
            self.wfile.write(bytes([0x80 | head[0] & 15]) + size + data)
            self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
