# Services of others as they document themselves: DataDog, New Relic, PagerDuty, Slack, and what takes
# the payload of ServerDensity. Each number that is told is written down, with the service, before it is
# answered. On each path the second request is told to wait a second, the fourth that the service is away,
# and the sixth is taken without an answer.

import collections
import http.server
import json
import sys
import threading
import time
import zlib

from datadog_api_client import Configuration
from datadog_api_client.model_utils import validate_and_convert_types
from datadog_api_client.v1.model.event_create_request import EventCreateRequest
from datadog_api_client.v1.model.service_checks import ServiceChecks
from datadog_api_client.v2.model.http_log import HTTPLog
from datadog_api_client.v2.model.metric_payload import MetricPayload

# What is told as 666 is refused by all; 667 DataDog takes, and says that it was wrong.
REFUSED, WRONG = 666, 667


class Bad(Exception):
    pass


def need(holds, text):
    if not holds:
        raise Bad(text)


def is_parsed(value):
    if getattr(value, "_unparsed", False):
        return False
    if isinstance(value, (list, tuple)):
        return all(map(is_parsed, value))
    inner = getattr(value, "_data_store", None)
    return inner is None or all(map(is_parsed, inner.values()))


def check_model(model, body):
    """DataDog's own models read it, and nothing that they require is missing."""
    try:
        value = validate_and_convert_types(body, (model,), ["body"], True, True, Configuration())
    except Exception as error:
        raise Bad(str(error)) from error
    need(is_parsed(value), "it is not as the model says")


def number(text):
    need(text[:1] == "n", f"{text!r} is no text of the test")
    return int(text[1:])


def series(body):
    check_model(MetricPayload, body)
    need(len(json.dumps(body)) <= 5 << 20, "too large")
    found = []
    for point in body["series"]:
        need(point["metric"].startswith("heka."), "the prefix is missing")
        need(point["resources"] == [{"name": "web01", "type": "host"}], "the host is missing")
        need(abs(point["points"][0]["timestamp"] - time.time()) < 3600, "too old")
        if point["metric"] == "heka.n":
            found.append(int(point["points"][0]["value"]))
    return found


def dd_logs(body):
    check_model(HTTPLog, body)
    need(len(body) <= 1000, "too many")
    need(all(log["ddsource"] == "heka" for log in body), "no source")
    return [number(log["message"]) for log in body]


def dd_event(body):
    check_model(EventCreateRequest, body)
    return [number(body["text"])]


def dd_checks(body):
    check_model(ServiceChecks, body)
    need(all({"check", "host_name", "status", "tags"} <= set(check) for check in body), "required")
    return [number(check["message"]) for check in body]


def nr_metrics(body):
    found = []
    for group in body:
        need(set(group) <= {"metrics", "common"}, "unknown members")
        for metric in group["metrics"]:
            need(metric["type"] in ("gauge", "count", "summary"), "type")
            need(isinstance(metric["timestamp"], int) and metric["timestamp"] > 1e12, "timestamp")
            need(len(metric["name"]) <= 255 and len(metric.get("attributes", {})) <= 100, "limits")
            need(all(isinstance(it, (str, int, float, bool)) for it in metric["attributes"].values()), "nested")
            if metric["name"] == "heka.n":
                found.append(int(metric["value"]))
    return found


def nr_logs(body):
    logs = [log for group in body for log in group["logs"]]
    need(all(isinstance(log["timestamp"], int) for log in logs), "timestamp")
    return [number(log["message"]) for log in logs]


def nr_events(body):
    need(isinstance(body, list) and len(body) <= 2000, "too many")
    for event in body:
        need(all(c.isalnum() or c in "_:" for c in event["eventType"]), "eventType")
        need(all(isinstance(it, (str, int, float, bool)) for it in event.values()), "nested")
    return [number(event["message"]) for event in body]


def pagerduty(body):
    need(len(body["routing_key"]) == 32, "routing_key")
    need(body["event_action"] in ("trigger", "acknowledge", "resolve"), "event_action")
    need(0 < len(body["dedup_key"]) <= 255, "dedup_key")
    payload = body["payload"]
    need(len(payload["summary"]) <= 1024 and payload["source"] == "web01", "summary, source")
    need(payload["severity"] in ("critical", "error", "warning", "info"), "severity")
    time.strptime(payload["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    return [number(payload["summary"])]


def slack(body):
    need(set(body) == {"text"}, "no_text")
    return [number(body["text"].split(": ")[-1])]


def serverdensity(body):
    need(len(body["agentKey"]) == 32 and body["internalHostname"] == "web01", "agentKey")
    need(all(len(metric) == 4 for metric in body["metrics"]), "metrics")
    return [int(metric[2]) for metric in body["metrics"] if metric[0] == "heka.n"]


DD, NR = ("DD-API-KEY", 32), ("Api-Key", 40)
# path, header of the key and its length, encoding, what reads it, what is answered
SERVICES = {
    "/api/v2/series": (DD, "gzip", series, 202, {"errors": []}),
    "/api/v2/logs": (DD, "gzip", dd_logs, 202, {}),
    "/api/v1/events": (DD, None, dd_event, 202, {"status": "ok"}),
    "/api/v1/check_run": (DD, None, dd_checks, 202, {"status": "ok"}),
    "/metric/v1": (NR, "gzip", nr_metrics, 202, {"requestId": "x"}),
    "/log/v1": (NR, "gzip", nr_logs, 202, {"requestId": "x"}),
    "/v1/accounts/1234567/events": (NR, "gzip", nr_events, 200, {"success": True, "uuid": "x"}),
    "/v2/enqueue": (None, None, pagerduty, 202, {"status": "success", "dedup_key": "x"}),
    "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX": (None, None, slack, 200, "ok"),
    "/intake/": (None, "deflate", serverdensity, 200, "OK"),
}
requests = collections.Counter()
rests = {}
lock = threading.Lock()


def note(text):
    with lock, open(sys.argv[2], "a") as file:
        file.write(text + "\n")


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key, encoding, read, status, taken = SERVICES[self.path]
        if time.monotonic() < rests.get(self.path, 0):
            note(f"hurried {self.path}")
        if key and len(self.headers.get(key[0], "")) != key[1]:
            return self.answer(403, {"errors": ["Forbidden"]})
        if self.headers.get("Content-Type") != "application/json":
            return self.answer(415, {"errors": ["Unsupported Media Type"]})
        requests[self.path] += 1
        count = requests[self.path]
        if count == 2:
            rests[self.path] = time.monotonic() + 0.95
            return self.answer(429, {"errors": ["Too many requests"]}, "1")
        if count == 4:
            return self.answer(503, {"errors": ["Service Unavailable"]})
        try:
            need(self.headers.get("Content-Encoding") == encoding, "the encoding is another")
            body = zlib.decompress(body, 47) if encoding else body
            numbers = read(json.loads(body))
            need(REFUSED not in numbers, "that one is refused")
        except (Bad, KeyError, TypeError, ValueError) as error:
            return self.answer(400, {"errors": [f"{type(error).__name__} {error}"]})
        for told in numbers:
            if told != WRONG:
                note(f"{self.path} {told}")
        if count == 6:
            self.close_connection = True
            return None
        if WRONG in numbers and self.path == "/api/v2/series":
            return self.answer(202, {"errors": ["the value of heka.n is wrong"]})
        return self.answer(status, taken)

    def answer(self, status, body, retry_after=None):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
