"""``git http-backend`` behind nginx: https with a certificate of our own, http, basic credentials, tokens, redirects."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
import urllib.request
import uuid
from pathlib import Path

from tests.ports import free_port
from tests.remotes.authority import Authority
from tests.remotes.processes import Running, answers, listens, program

USER, PASSWORD, TOKEN = "ada", "correct-horse-canary-1", "token-canary-2"

_CONFIG = """\
daemon off;
worker_processes 1;
pid {d}/nginx.pid;
error_log {d}/nginx.error warn;
{user}
events {{ worker_connections 64; }}
http {{
    access_log {d}/nginx.access;
    client_body_temp_path {d}/body;
    fastcgi_temp_path {d}/fcgi;
    proxy_temp_path {d}/proxy;
    uwsgi_temp_path {d}/uwsgi;
    scgi_temp_path {d}/scgi;
    keepalive_timeout 60s;
    client_max_body_size 10m;
    server {{
        listen 127.0.0.1:{https} ssl;
        listen 127.0.0.1:{http};
        ssl_certificate {cert};
        ssl_certificate_key {key};

        location /open/ {{ set $root {repositories}; include {d}/backend; }}
        location /old/ {{ set $root {repositories}; include {d}/backend-old; }}
        location /basic/ {{
            auth_basic git;
            auth_basic_user_file {d}/users;
            set $root {repositories};
            include {d}/backend;
        }}
        location /bearer/ {{
            add_header WWW-Authenticate 'Bearer realm="git"' always;
            if ($http_authorization != "Bearer {token}") {{ return 401; }}
            set $root {repositories};
            include {d}/backend;
        }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /open/$1 permanent; }}
        location /away/ {{ return 302 https://localhost:{https}/basic/vms.git/info/refs?service=git-upload-pack; }}
        location /loop/ {{ return 302 $request_uri; }}
        location /page/ {{ default_type text/html; return 200 "<html>welcome</html>"; }}
        location /fault/ {{ return 503; }}
    }}
}}
"""

_BACKEND = """\
fastcgi_pass unix:{d}/fcgi.sock;
fastcgi_param SCRIPT_FILENAME {backend};
fastcgi_param GIT_PROJECT_ROOT $root;
fastcgi_param GIT_HTTP_EXPORT_ALL 1;
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param QUERY_STRING $query_string;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
fastcgi_param REMOTE_USER $remote_user;
fastcgi_param REMOTE_ADDR $remote_addr;
fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
fastcgi_param PATH_INFO $path_below;
"""


class WebServer:
    """Serves the bare repositories of a directory below ``/open/``, ``/basic/``, ``/bearer/`` and ``/old/``."""

    def __init__(self, directory: Path, repositories: Path, authority: Authority) -> None:
        directory.mkdir()
        self.directory = directory
        self.https_port, self.http_port = free_port(), free_port()
        certificate, key = authority.issue("web", "127.0.0.1", "localhost")
        facts = {
            "d": directory, "repositories": repositories, "https": self.https_port, "http": self.http_port,
            "cert": certificate, "key": key, "token": TOKEN, "backend": program("git-http-backend"),
            "user": "user root;" if os.geteuid() == 0 else "",
        }  # fmt: skip
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
        (directory / "users").write_text(f"{USER}:{{SHA}}{digest}\n")
        backend = 'if ($uri ~ "^/[a-z]+(/.*)$") { set $path_below $1; }\n' + _BACKEND.format(**facts)
        (directory / "backend").write_text(backend + "fastcgi_param GIT_PROTOCOL $http_git_protocol;\n")
        (directory / "backend-old").write_text(backend)
        (directory / "nginx.conf").write_text(_CONFIG.format(**facts))
        socket = directory / "fcgi.sock"
        self._running = [
            Running(
                [program("fcgiwrap"), "-f", "-c", "2", "-s", f"unix:{socket}"],
                directory / "fcgiwrap.log",
                lambda: answers(socket),
            ),
            Running(
                [program("nginx"), "-e", str(directory / "nginx.error"), "-c", str(directory / "nginx.conf")],
                directory / "nginx.log",
                lambda: listens(self.https_port) and listens(self.http_port),
            ),
        ]

    def url(self, place: str, name: str = "vms.git", *, host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.https_port}/{place}/{name}"

    def plain_url(self, place: str, name: str = "vms.git") -> str:
        return f"http://127.0.0.1:{self.http_port}/{place}/{name}"

    def requests(self) -> list[str]:
        """The request lines that were answered so far. nginx writes a line after the answer went out, and in the order of its
        answers: once it has written that of a request of ours, it has written all before it.
        """
        log, mark = self.directory / "nginx.access", f"/page/{uuid.uuid4().hex}"
        urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{mark}", timeout=60).close()
        until = time.monotonic() + 60
        while mark not in (text := log.read_text()):
            assert time.monotonic() < until, text
            time.sleep(0.01)
        lines = [line.split('"')[1] for line in text.splitlines()]
        return [line for line in lines if not re.match(r"GET /page/[0-9a-f]{32} ", line)]

    def stop(self) -> None:
        for running in reversed(self._running):
            running.stop()


class Proxy:
    """A forward proxy that lets through what CONNECT asks for on our port alone."""

    def __init__(self, directory: Path, allowed_port: int) -> None:
        directory.mkdir()
        self.port = free_port()
        config = directory / "tinyproxy.conf"
        config.write_text(
            f'Port {self.port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nLogFile "{directory}/log"\nLogLevel Connect\n'
            f'PidFile "{directory}/pid"\nAllow 127.0.0.1\nConnectPort {allowed_port}\n'
        )
        self._log = directory / "log"
        self._running = Running(
            [program("tinyproxy"), "-d", "-c", str(config)], directory / "out", lambda: listens(self.port)
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        self._running.stop()
