"""A warm Python worker of procblock: runs one ProcessBlock call after the other.

Descriptor 3 is a socket to the runner. A message is four bytes of length (big endian) and JSON. The runner sends
"start" once, then one "call" after the other; while a call runs the worker sends "log" and "host" messages, of which
each "host" is answered, and in the end "result" or "failure".
"""
import ast
import importlib
import json
import math
import os
import resource
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types

DEPTH_MAX = 64
LINE_MAX = 64 * 1024
SCRIPTS_MAX = 256
SETTLED_NS = 20_000_000
ARGUMENTS = ("pipe_data", "block", "request_state", "input_data", "tag", "cwd", "env", "block_parent")
# The flag of a function with *arguments, as the module inspect names it; importing that takes longer than a call.
VARIABLE_ARGUMENTS = 0x04
HEADER = ("def ProcessBlock(pipe_data, block, request_state, input_data, tag=None, cwd=None, env=None, "
          "block_parent=None): pass")

channel = socket.socket(fileno=3)
channel.set_inheritable(False)
sending = threading.Lock()
asking = threading.Lock()
current = {"names": ()}


def send(message):
    body = json.dumps(message, allow_nan=False).encode("ascii")
    with sending:
        channel.sendall(struct.pack(">I", len(body)) + body)


def exactly(count):
    parts = []
    while count:
        part = channel.recv(min(count, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive():
    (length,) = struct.unpack(">I", exactly(4))
    return json.loads(exactly(length))


# Log lines -------------------------------------------------------------------------------------------------------

def valid(text):
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def script_line():
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename in current["names"]:
            return frame.f_lineno
        frame = frame.f_back
    return None


class LogWriter:
    """Stands for sys.stdout and sys.stderr: each line becomes a log line."""
    encoding = "utf-8"
    errors = "replace"
    closed = False

    def __init__(self, level, descriptor):
        self.level = level
        self.descriptor = descriptor
        self.rest = ""

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        lines = (self.rest + text).split("\n")
        self.rest = lines.pop()
        if len(self.rest) > LINE_MAX:
            lines.append(self.rest)
            self.rest = ""
        if lines:
            line = script_line()
            for one in lines:
                send({"kind": "log", "level": self.level, "line": line, "text": valid(one[:LINE_MAX])})
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def flush(self):
        pass

    def finish(self):
        if self.rest:
            self.write("\n")

    def isatty(self):
        return False

    def writable(self):
        return True

    def readable(self):
        return False

    def fileno(self):
        return self.descriptor

    @property
    def buffer(self):
        return os.fdopen(os.dup(self.descriptor), "wb", 0)


def follow(descriptor, level):
    """What C code and children print: a pipe in the place of the descriptor, read by a thread."""
    end, start = os.pipe()
    os.dup2(start, descriptor)
    os.close(start)

    def read():
        with os.fdopen(end, "r", encoding="utf-8", errors="replace") as lines:
            while True:
                line = lines.readline(LINE_MAX)
                if not line:
                    return
                send({"kind": "log", "level": level, "line": None, "text": line.rstrip("\n")})
    threading.Thread(target=read, daemon=True).start()


# unidist ---------------------------------------------------------------------------------------------------------

class Error(Exception):
    """A function of the runner refused or failed; `code` is a short fixed word."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def host(name):
    def function(*arguments, **options):
        values = [plain(value, f"{name}: argument {index}") for index, value in enumerate(arguments, 1)]
        if options:
            values.append(plain(options, f"{name}: options"))
        with asking:
            send({"kind": "host", "name": name, "arguments": values})
            answer = receive()
        if "error" in answer:
            raise Error(answer["error"]["code"], answer["error"]["text"])
        return answer.get("value")
    function.__name__ = function.__qualname__ = name.rpartition(".")[2]
    return function


def make_unidist(functions):
    root = types.ModuleType("unidist", "The runner's shared state and services.")
    root.__path__ = []
    root.Error = Error
    sys.modules["unidist"] = root
    for name in functions:
        module_name, _, short = name.partition(".")
        module = getattr(root, module_name, None)
        if module is None:
            module = types.ModuleType("unidist." + module_name)
            setattr(root, module_name, module)
            sys.modules["unidist." + module_name] = module
        setattr(module, short, host(name))


# Values ----------------------------------------------------------------------------------------------------------

class Refused(Exception):
    """A value that cannot be passed on."""


def plain(value, path, depth=0):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                raise Refused(f"{path}: the text is not valid Unicode; encode binary data as text first") from None
        return str(value)
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise Refused(f"{path}: the number does not fit into 64 bits; pass it on as a text")
        return int(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise Refused(f"{path}: {value} is not a number that can be passed on; use None for an unknown one")
        return float(value)
    if depth >= DEPTH_MAX:
        raise Refused(f"{path[:80]}…: nested deeper than {DEPTH_MAX} levels; does a value contain itself?")
    if isinstance(value, dict):
        result = {}
        for key, inner in value.items():
            if key is not None and not isinstance(key, (str, int, float)):
                raise Refused(f"{path}: a {type(key).__name__} cannot be a key; expected a text or a number")
            name = plain(key, f"{path}: key") if isinstance(key, str) else json.dumps(key)
            if name in result:
                raise Refused(f"{path}: the key {name} stands there twice, as a text and as another kind")
            result[name] = plain(inner, f"{path}.{name}", depth + 1)
        return result
    if isinstance(value, (list, tuple)):
        return [plain(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
    kind = type(value).__name__
    raise Refused(f"{path}: a {kind} cannot be passed on; expected a text, number, boolean, list or mapping")


# Scripts ---------------------------------------------------------------------------------------------------------

class Failure(Exception):
    """A failure with a place that is known."""

    def __init__(self, message, place=None):
        super().__init__(message)
        self.place = place


def identity(path):
    status = os.stat(path)
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class SourceFile:
    """A file as it was read; one changed less than 20 ms before is read again."""

    def __init__(self, path):
        self.path = path
        self.identity = identity(path)
        with open(path, "rb") as file:
            self.content = file.read()
        self.settle()

    def settle(self):
        self.is_settled = time.time_ns() - max(self.identity[3:]) >= SETTLED_NS

    def is_current(self):
        try:
            if identity(self.path) != self.identity:
                return False
            if self.is_settled:
                return True
            self.settle()
            with open(self.path, "rb") as file:
                return file.read() == self.content
        except OSError:
            return False


def accepted(function):
    """How many of the arguments a function takes: a script need not name those it never looks at."""
    code = getattr(function, "__code__", None)
    if code is None or code.co_flags & VARIABLE_ARGUMENTS:
        return len(ARGUMENTS)
    return code.co_argcount


class Script:
    def __init__(self, function, files, modules):
        self.function = function
        self.accepted = accepted(function)
        self.files = files
        self.modules = modules


scripts = {}
number = 0


def own_modules(before, folder):
    """The modules of the script's own folder that were imported since."""
    prefix = os.path.join(folder, "")
    own = {}
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None)
        if isinstance(path, str) and path.startswith(prefix) and path.endswith(".py"):
            own[name] = sys.modules[name]
    return own


def compile_text(text, name, first_line):
    tree = ast.parse(text, name)
    ast.increment_lineno(tree, first_line - 1)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    if any(isinstance(node, kinds) and node.name == "ProcessBlock" for node in tree.body):
        return compile(tree, name, "exec")
    wrapper = ast.parse(HEADER)
    ast.increment_lineno(wrapper, first_line - 1)
    if tree.body:
        wrapper.body[0].body = tree.body
    return compile(wrapper, name, "exec")


def load(source):
    global number
    name = source["name"]
    files = []
    if "text" in source:
        try:
            code = compile_text(source["text"], name, source["first_line"])
        except SyntaxError as problem:
            problem.lineno = (problem.lineno or 1) + source["first_line"] - 1
            raise
    else:
        file = SourceFile(name)
        files.append(file)
        code = compile(file.content, name, "exec", dont_inherit=True)
    number += 1
    module = types.ModuleType(f"procblock_script_{number}")
    module.__file__ = name
    sys.modules[module.__name__] = module
    exec(code, module.__dict__)
    function = getattr(module, "ProcessBlock", None)
    if not callable(function):
        raise Failure("no function ProcessBlock; define it: def ProcessBlock(pipe_data, block, request_state, "
                      "input_data, tag=None, cwd=None, env=None, block_parent=None)", name)
    return Script(function, files, {module.__name__: module})


def find(source):
    key = (source["name"], source.get("first_line"), source.get("text"))
    script = scripts.get(key)
    if script is not None and all(file.is_current() for file in script.files):
        sys.modules.update(script.modules)
        return script
    scripts.pop(key, None)
    if len(scripts) >= SCRIPTS_MAX:
        scripts.clear()
    script = load(source)
    scripts[key] = script
    return script


def keep_modules(script, own):
    """Remembers the modules that a script imported from its folder, and the files they came from."""
    known = {file.path for file in script.files}
    for name, module in own.items():
        script.modules[name] = module
        if module.__file__ not in known and os.path.exists(module.__file__):
            script.files.append(SourceFile(module.__file__))


def run(message):
    source = message["source"]
    sys.path[0] = source["folder"]
    importlib.invalidate_caches()
    before = set(sys.modules)
    script = None
    try:
        script = find(source)
        arguments = message["arguments"]
        return script.function(*(arguments[name] for name in ARGUMENTS[:script.accepted]))
    finally:
        own = own_modules(before, source["folder"])
        own.update((name, module) for name, module in list(sys.modules.items())
                   if name.startswith("procblock_script_"))
        if script is not None:
            keep_modules(script, {name: module for name, module in own.items() if name not in script.modules
                                  and not name.startswith("procblock_script_")})
            own.update(script.modules)
        # No other script may see them, since it may have modules of the same names.
        for name in own:
            sys.modules.pop(name, None)


def describe(problem, source):
    """The failure that a raised exception stands for, with the place in the user's own code."""
    name, prefix = source["name"], os.path.join(source["folder"], "")
    frames = [frame for frame in traceback.extract_tb(problem.__traceback__)
              if frame.filename != "<string>" and not frame.filename.startswith("<frozen")]
    own = [frame for frame in frames if frame.filename == name or frame.filename.startswith(prefix)] or frames
    place = f"{own[-1].filename}:{own[-1].lineno}" if own else name
    text = None
    if isinstance(problem, (Failure, Refused, Error)):
        text = str(problem)
        if isinstance(problem, Failure) and problem.place:
            place = problem.place
    elif isinstance(problem, SyntaxError) and problem.filename:
        place, text = f"{problem.filename}:{problem.lineno}", f"SyntaxError: {problem.msg}"
    elif isinstance(problem, SystemExit):
        text = f"the script called sys.exit({'' if problem.code is None else repr(problem.code)}); return instead"
    elif isinstance(problem, ModuleNotFoundError):
        text = f"{problem}; it is neither beside the script nor installed for {sys.executable}"
    if text is None:
        text = "".join(traceback.format_exception_only(type(problem), problem)).strip()
    trace = "".join(traceback.format_list(frames[-40:])).rstrip("\n")
    return {"kind": "failure", "message": valid(text[:LINE_MAX]), "place": valid(place), "trace": valid(trace),
            "is_limit": isinstance(problem, MemoryError)}


def limited_run(message):
    cpu = message["cpu"]
    if cpu is not None:
        # The kernel's limit is for the life of the process: beyond what was used before, it ends this worker.
        cpu += math.ceil(time.process_time())
    wanted = ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_NOFILE, message["files"]),
              (resource.RLIMIT_AS, message["memory"]))
    before = []
    try:
        for kind, limit in wanted:
            if limit is not None:
                old = resource.getrlimit(kind)
                resource.setrlimit(kind, (limit if old[1] < 0 else min(limit, old[1]), old[1]))
                before.append((kind, old))
        return run(message)
    finally:
        for kind, old in reversed(before):
            resource.setrlimit(kind, old)


def answer(message):
    source = message["source"]
    current["names"] = {source["name"]}
    try:
        result = limited_run(message)
        if result is None:
            result = {}
        if not isinstance(result, dict):
            raise Failure(f"the script returned a {type(result).__name__}, expected a mapping such as "
                          '{"answer": 42}, or None', source["name"])
        reply = {"kind": "result", "value": plain(result, "result")}
    except BaseException as problem:
        reply = describe(problem, source)
    sys.stdout.finish()
    sys.stderr.finish()
    return reply


def resident():
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main():
    # A terminal's Ctrl-C is for the runner, which ends this worker when it wants to.
    signal.signal(signal.SIGINT, lambda *_: None)
    # Byte code is known by a time in whole seconds: two edits within one would be mixed up.
    sys.dont_write_bytecode = True
    follow(1, "info")
    follow(2, "warn")
    output = (LogWriter("info", 1), LogWriter("warn", 2))
    make_unidist(receive()["functions"])
    send({"kind": "ready"})
    while True:
        message = receive()
        sys.stdout, sys.stderr = output
        reply = answer(message)
        reply["resident"] = resident()
        send(reply)


main()
