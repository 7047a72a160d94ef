"""Put the guest's root file system together in memory and write it as a cpio archive.

Writing the archive ourselves needs no root: device nodes and owners are entries, not files of this machine. Times and
inode numbers are fixed, so equal input gives equal bytes. Source: the kernel's initramfs buffer format; the ELF-64 format.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debian_packages import BuildError, run

# Programs taken from the packages: where they are found, and where the guest has them.
PROGRAMS = {
    "bin/busybox": "bin/busybox",
    "usr/sbin/qemu-ga": "usr/sbin/qemu-ga",
    "usr/bin/lua5.4": "usr/bin/lua5.4",
    "usr/sbin/dropbear": "usr/sbin/dropbear",
    "usr/bin/dropbearkey": "usr/bin/dropbearkey",
    "sbin/mke2fs": "sbin/mke2fs",
    "sbin/resize2fs": "sbin/resize2fs",
    "usr/lib/x86_64-linux-gnu/lua/5.4/yaml.so": "usr/lib/x86_64-linux-gnu/lua/5.4/yaml.so",
}
LUA_LIBRARY = "usr/share/lua/5.4/lyaml"
# glibc loads this one by name when a thread is cancelled; no ELF header mentions it.
EXTRA_LIBRARIES = ("libgcc_s.so.1",)
LOADER = "ld-linux-x86-64.so.2"
DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "mnt", "data", "boot", "persist", "root", "home/demo", "var/www")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One archive member: its mode with type bits, its bytes (or link target), its owner, its device number."""

    mode: int
    content: bytes = b""
    owner: int = 0
    device: tuple[int, int] = (0, 0)


class RootFilesystem:
    """The guest's files by path; parents come by themselves."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def directory(self, path: str, *, owner: int = 0, mode: int = 0o755) -> None:
        """Add a directory and its parents, keeping those that are there."""
        parent = path.rpartition("/")[0]
        if parent:
            self.directory(parent)
        self.entries.setdefault(path, Entry(mode=stat.S_IFDIR | mode, owner=owner))

    def file(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Add a regular file."""
        self.directory(path.rpartition("/")[0] or "etc")
        self.entries[path] = Entry(mode=stat.S_IFREG | mode, content=content)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link unless a real file of that name is there."""
        if path not in self.entries:
            self.directory(path.rpartition("/")[0] or "etc")
            self.entries[path] = Entry(mode=stat.S_IFLNK | 0o777, content=target.encode())

    def archive(self) -> bytes:
        """The whole tree in the kernel's `newc` cpio format."""
        parts = []
        for number, (path, entry) in enumerate(sorted(self.entries.items()), start=1):
            parts.append(_cpio_member(path, entry, number))
        parts.append(_cpio_member("TRAILER!!!", Entry(mode=0), 0))
        return b"".join(parts)


def _cpio_member(path: str, entry: Entry, number: int) -> bytes:
    name = path.encode() + b"\0"
    fields = (number, entry.mode, entry.owner, entry.owner, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def needed_libraries(data: bytes) -> Iterator[str]:
    """Names in the DT_NEEDED entries of an ELF-64 file; none for a static or foreign one."""
    if data[:6] != b"\x7fELF\x02\x01":
        return
    table_at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, table_at + size * index) for index in range(count)]
    loads = [(header[3], header[2], header[5]) for header in headers if header[0] == 1]
    dynamic = next((header for header in headers if header[0] == 2), None)
    if dynamic is None:
        return
    tags = list(struct.iter_unpack("<QQ", data[dynamic[2] : dynamic[2] + dynamic[5]]))
    address = next(value for tag, value in tags if tag == 5)
    strings = next(address - start + offset for start, offset, length in loads if start <= address < start + length)
    for tag, value in tags:
        if tag == 0:
            return
        if tag == 1:
            yield data[strings + value : data.index(b"\0", strings + value)].decode()


def module_dependencies(data: bytes) -> tuple[str, ...]:
    """Modules that a kernel module says it needs, from its `.modinfo` strings."""
    mark = b"\0depends="
    start = data.find(mark)
    if start < 0:
        return ()
    names = data[start + len(mark) : data.index(b"\0", start + len(mark))].decode()
    return tuple(name.replace("-", "_") for name in names.split(",") if name)


def add_programs(root: RootFilesystem, unpacked: Path) -> None:
    """Add the programs, every library they need, and busybox's names. Raises BuildError when one is missing."""
    libraries = {path.name: path for path in unpacked.glob("**/*.so*") if "x86_64-linux-gnu" in path.parts}
    waiting = list(EXTRA_LIBRARIES)
    for source, target in PROGRAMS.items():
        path = unpacked / source
        if not path.exists():
            raise BuildError(f"the packages hold no {source}; demo/guest/packages.txt needs another one")
        data = path.read_bytes()
        root.file(target, data, mode=0o755)
        waiting.extend(needed_libraries(data))
    while waiting:
        name = waiting.pop()
        place = f"lib64/{name}" if name == LOADER else f"usr/lib/x86_64-linux-gnu/{name}"
        if place in root.entries:
            continue
        if name not in libraries:
            raise BuildError(f"a program needs {name}, which no package in demo/guest/packages.txt holds")
        data = libraries[name].resolve().read_bytes()
        root.file(place, data, mode=0o755)
        waiting.extend(needed_libraries(data))
    root.link("lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
    for path in sorted((unpacked / LUA_LIBRARY).glob("*.lua")):
        root.file(f"{LUA_LIBRARY}/{path.name}", path.read_bytes())
    for name in run([str(unpacked / "bin/busybox"), "--list-full"]).split():
        root.link(name, "/bin/busybox")


def add_modules(root: RootFilesystem, unpacked: Path, listing: Path) -> None:
    """Add the kernel modules of `modules.txt` and the load orders. Raises BuildError when one is missing."""
    modules = {path.stem.replace("-", "_"): path for path in (unpacked / "lib/modules").glob("**/*.ko")}
    builtin_lists = (unpacked / "lib/modules").glob("*/modules.builtin")
    builtin = {Path(line).stem.replace("-", "_") for path in builtin_lists for line in path.read_text().split()}
    placed: dict[str, str] = {}

    def place(name: str, order: list[str]) -> None:
        if name in placed or name in builtin:
            return
        if name not in modules:
            raise BuildError(f"this kernel has no module {name}; demo/guest/modules.txt asks for it")
        data = modules[name].read_bytes()
        for dependency in module_dependencies(data):
            place(dependency, order)
        placed[name] = f"/lib/modules/{name}.ko"
        root.file(placed[name][1:], data)
        order.append(placed[name])

    early, _, late = listing.read_text().partition("\n--\n")
    for part, words in (("early", early), ("late", late)):
        order: list[str] = []
        for line in words.splitlines():
            if line and not line.startswith("#"):
                place(line.replace("-", "_"), order)
        root.file(f"etc/modules.{part}", "".join(f"{path}\n" for path in order).encode())


def assemble(unpacked: Path, own_files: Path, modules: Path) -> RootFilesystem:
    """The guest's whole root file system from the unpacked packages, our own files and the module list."""
    root = RootFilesystem()
    for name in DIRECTORIES:
        root.directory(name)
    root.entries["root"] = Entry(mode=stat.S_IFDIR | 0o700)
    root.entries["home/demo"] = Entry(mode=stat.S_IFDIR | 0o755, owner=1000)
    root.entries["dev/console"] = Entry(mode=stat.S_IFCHR | 0o600, device=(5, 1))
    root.entries["dev/null"] = Entry(mode=stat.S_IFCHR | 0o666, device=(1, 3))
    for path in sorted(own_files.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            mode = 0o755 if data.startswith(b"#!") else 0o644
            root.file(str(path.relative_to(own_files)), data, mode=0o600 if path.name == "shadow" else mode)
    add_programs(root, unpacked)
    add_modules(root, unpacked, modules)
    return root
