# Takes checks as NRDP 2 documents it (submitcheck, with XML) and hands them to the Nagios behind it.

import http.server
import sys
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree


def answer(status, message, more=""):
    meta = f"<meta><output>{more}</output></meta>" if more else ""
    return f"<?xml version='1.0'?>\n<result>\n  <status>{status}</status>\n  <message>{message}</message>\n  {meta}</result>\n"


def take(form):
    if form.get("token") != "right":
        return answer(-1, "BAD TOKEN" if form.get("token") else "NO TOKEN")
    if form.get("cmd") != "submitcheck":
        return answer(-1, "NO COMMAND")
    if not form.get("xml"):
        return answer(-1, "NO DATA")
    try:
        results = ElementTree.fromstring(form["xml"])
    except ElementTree.ParseError:
        return answer(-1, "BAD XML")
    now = int(time.time())
    for result in results.iter("checkresult"):
        host, state = result.findtext("hostname"), int(result.findtext("state"))
        service, output = result.findtext("servicename"), result.findtext("output")
        kind = "PROCESS_SERVICE_CHECK_RESULT" if service else "PROCESS_HOST_CHECK_RESULT"
        parts = [kind, host, service, str(state), output]
        line = ";".join(part for part in parts if part is not None)
        with open(sys.argv[2], "a") as pipe:
            pipe.write(f"[{now}] {line}\n")
    return answer(0, "OK", f"{len(results)} checks processed.")


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        page = take(dict(urllib.parse.parse_qsl(body))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
