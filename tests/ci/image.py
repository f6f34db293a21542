"""What tests/ci/image asks of an image: `inspect` its settings and files, `sbom` its list of crates, `live` its service."""

import gzip
import http.client
import http.server
import io
import json
import os
import pathlib
import shutil
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
import tomllib

PROGRAM = "/usr/local/bin/cutover-api"
STATE = "/var/lib/cutover-api"
NONROOT = 65532
LIMIT = 16 * 1024 * 1024
GITEA = "gitea-http.gitea.svc.cluster.local"
SERVICE = "cutover-api.catalyst.svc.cluster.local"


def demand(what, seen, wanted):
    if seen != wanted:
        sys.exit(f"{what}: {seen!r}, not {wanted!r}")
    print(f"{what}: {seen}")


def blob(layout, descriptor):
    return (pathlib.Path(layout) / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()


def inspect(layout, inspected, version, revision, runtime_digest, epoch):
    """The settings that a container engine and the kubelet read, and every file of our layers."""
    index = json.loads((pathlib.Path(layout) / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]))
    image = json.loads(blob(layout, manifest["config"]))
    config = image["config"]
    demand("user", config["User"], f"{NONROOT}:{NONROOT}")
    demand("entrypoint", config["Entrypoint"], [PROGRAM])
    demand("command", config["Cmd"], ["serve"])
    demand("port", list(config["ExposedPorts"]), ["8080/tcp"])
    own = ["PATH=/usr/local/bin", f"CUTOVER_STATE_DIR={STATE}", "CUTOVER_LOG_FORMAT=json"]
    demand("environment", config["Env"], own)
    # OCI has no place for it; the docker format that the image was built in has
    probe = json.loads(pathlib.Path(inspected).read_text())["Docker"]["config"]["Healthcheck"]["Test"]
    demand("health check", probe, ["CMD", PROGRAM, "healthcheck"])
    prefix = "org.opencontainers.image."
    labels = {key.removeprefix(prefix): value for key, value in config["Labels"].items() if key.startswith(prefix)}
    package = tomllib.loads(pathlib.Path("Cargo.toml").read_text())
    wanted = {
        "title": package["package"]["name"],
        "description": package["package"]["description"],
        "licenses": package["workspace"]["package"]["license"],
        "version": version,
        "revision": revision,
        "base.name": "localhost/runtime",
        "base.digest": runtime_digest,
    }
    demand("labels", labels, wanted)
    demand("layers, with one of the runtime", len(manifest["layers"]), 3)
    demand("created", image["created"], time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch))))
    files, times = {}, set()
    for layer in manifest["layers"][1:]:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob(layout, layer)))) as archive:
            for entry in archive:
                times.add(entry.mtime)
                path = "/" + entry.name.strip("/")
                if not entry.isdir() or path == STATE:
                    files[path] = (oct(entry.mode & 0o7777), entry.uid, entry.gid)
    demand("files", files, {PROGRAM: ("0o555", 0, 0), STATE: ("0o755", NONROOT, NONROOT)})
    demand("times in it", times, {int(epoch)})
    size = sum(layer["size"] for layer in manifest["layers"])
    print(f"size: {size / 1e6:.1f} MB as it is pulled")
    if size > LIMIT:
        sys.exit(f"larger than {LIMIT} bytes")


def sbom(path):
    """Every crate that is linked into the program is found in the bare image, and nothing that the lock file lacks."""
    found = {
        (entry["name"], entry["version"])
        for entry in json.loads(pathlib.Path(path).read_text())["artifacts"]
        if entry["type"] == "rust-crate"
    }
    tree = ["cargo", "tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--package", "cutover-api"]
    lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
    linked = {(line.split()[0], line.split()[1].removeprefix("v")) for line in lines if line.strip()}
    locked = {(crate["name"], crate["version"]) for crate in tomllib.loads(pathlib.Path("Cargo.lock").read_text())["package"]}
    if linked - found or found - locked or len(linked) < 100:
        sys.exit(f"not in the image: {sorted(linked - found)}\nnot in the lock file: {sorted(found - locked)}")
    print(f"crates listed in the image: {len(found)}, of which linked: {len(linked)}")


class Names(socketserver.BaseRequestHandler):
    """The cluster's DNS, as far as it is asked: each of our two names is 127.0.0.1."""

    def handle(self):
        question, socket = self.request
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        name, kind = ".".join(labels).lower(), int.from_bytes(question[at + 1 : at + 3], "big")
        known = name in (GITEA, SERVICE)
        answers = known and kind == 1
        head = question[:2] + (b"\x81\x80" if known else b"\x81\x83") + b"\0\1" + bytes([0, answers]) + b"\0\0\0\0"
        body = b"\xc0\x0c\0\1\0\1\0\0\0\x05\0\4\x7f\0\0\1" if answers else b""
        socket.sendto(head + question[12 : at + 5] + body, self.client_address)


class Gitea(http.server.BaseHTTPRequestHandler):
    """Refuses the token, and notes that it was sent."""

    seen = set()

    def do_GET(self):
        Gitea.seen.add((self.headers["Host"], self.headers["Authorization"]))
        body = b'{"message":"user does not exist [uid: 0, name: ]","url":"http://gitea/api/swagger"}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def live(rootfs, inspected):
    """The service as the first process of a read-only root, with no privilege, and nothing but what the image holds."""
    root = pathlib.Path(rootfs)
    config = json.loads(pathlib.Path(inspected).read_text())["Docker"]["config"]
    secrets = {"gitea-token": "gitea-secret-0123456789abcdef\n", "operator": "operator-secret-0123456789abcdef\n"}
    secrets["tokens"] = f"operator ops {secrets['operator']}"
    (root / "run/secrets").mkdir()
    for name, text in secrets.items():
        path = root / "run/secrets" / name
        path.write_text(text)
        os.chown(path, 0, NONROOT)
        path.chmod(0o440)
    (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", root, root], check=True)
    subprocess.run(["mount", "--bind", f"{root}{STATE}", f"{root}{STATE}"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
    for server in (socketserver.UDPServer(("127.0.0.1", 53), Names), http.server.ThreadingHTTPServer(("127.0.0.1", 3000), Gitea)):
        threading.Thread(target=server.serve_forever, daemon=True).start()

    user, group = config["User"].split(":")
    enter = ["chroot", f"--userspec={user}:{group}", "--groups=", rootfs]
    own = dict(entry.split("=", 1) for entry in config["Env"])
    pod = {"GITEA_TOKEN_FILE": "/run/secrets/gitea-token", "CUTOVER_TOKENS_FILE": "/run/secrets/tokens"}

    def ask(*command, env=None):
        chroot = shutil.which("chroot")
        return subprocess.run([chroot, *enter[1:], *command], env=own | (env or {}), capture_output=True, text=True, timeout=120)

    def start():
        command = [shutil.which("unshare"), "--pid", "--fork", "--kill-child", shutil.which("chroot"), *enter[1:]]
        command += config["Entrypoint"] + config["Cmd"]
        outer = subprocess.Popen(command, env=own | pod)
        probe = config["Healthcheck"]["Test"][1:]
        for _ in range(600):
            if outer.poll() is not None:
                sys.exit(f"ended by itself: {outer.returncode}")
            done = ask(*probe)
            if done.returncode == 0:
                inner = int(pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
                return outer, inner
            time.sleep(0.1)
        sys.exit(f"never well: {done.stdout}{done.stderr}")

    def end(outer, inner):
        os.kill(inner, signal.SIGTERM)
        demand("exit code after SIGTERM", outer.wait(timeout=10), 0)

    def run():
        caller = http.client.HTTPConnection("127.0.0.1", 8080, timeout=10)
        caller.request("GET", "/cutover/runs?limit=1", headers={"Authorization": f"Bearer {secrets['operator'].strip()}"})
        latest = json.loads(caller.getresponse().read())["runs"][0]
        return latest["id"], latest["mirrors"][0]["problem"]["error"]

    demand("health before it runs", ask(*config["Healthcheck"]["Test"][1:]).returncode, 4)
    outer, inner = start()
    state = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{inner}/status").read_text().splitlines() if ":\t" in line)
    demand("process in its own namespace", state["NSpid"].split()[-1], "1")
    demand("user of the process", state["Uid"].split(), [user] * 4)
    demand("groups of the process", (state["Gid"].split(), state["Groups"].split()), ([group] * 4, []))
    demand("capabilities in effect", int(state["CapEff"], 16), 0)
    ready = ask(PROGRAM, "healthcheck", "--url", f"http://{SERVICE}:8080/readyz")
    demand("ready, asked by a name of the cluster's DNS", (ready.returncode, ready.stderr), (0, ""))
    asked = ask("cutover-api", "mirror", "--wait", "--timeout", "60s", env={"CUTOVER_TOKEN_FILE": "/run/secrets/operator"})
    demand("exit code of a run that Gitea refuses", (asked.returncode, "gitea-auth" in asked.stdout + asked.stderr), (1, True))
    demand("what Gitea was sent", Gitea.seen, {(f"{GITEA}:3000", f"token {secrets['gitea-token'].strip()}")})
    before = run()
    demand("why it failed", before[1], "gitea-auth")
    end(outer, inner)

    state_files = [path for path in (root / STATE.strip("/")).rglob("*") if path.is_file()]
    demand("who owns the state", {path.stat().st_uid for path in state_files}, {NONROOT})
    told = [path.name for path in state_files for secret in secrets.values() if secret.strip().encode() in path.read_bytes()]
    demand("secrets in the state", told, [])
    outer, inner = start()
    demand("the run, after a restart", run(), before)
    end(outer, inner)


if __name__ == "__main__":
    {"inspect": inspect, "sbom": sbom, "live": live}[sys.argv[1]](*sys.argv[2:])
