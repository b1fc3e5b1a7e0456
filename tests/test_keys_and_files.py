"""Keys, lines and files from outside, as a user meets them: processes with arguments, pipes and terminals."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

ASKING = """10 poke 198,0:wait 198,1:get a$:print "key ";a$
20 input "name";n$:print "hi ";n$
30 get a$:print asc(a$)
"""
COMPILING_SECONDS = 400.0  # the chip, for the first process that plays
posix = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")


def environment(**more):
    environ = {**os.environ, "XDG_CONFIG_HOME": "/nonexistent", "SDL_AUDIODRIVER": "dummy", "TERM": "xterm", **more}
    if "NO_COLOR" not in more:
        environ.pop("NO_COLOR", None)
    return environ


def sidlearn(*arguments, cwd, text=""):
    return subprocess.run(
        [sys.executable, "-m", "sidlearn", *map(str, arguments)],
        input=text, capture_output=True, text=True, cwd=cwd, env=environment(), timeout=120, check=False,
    )  # fmt: skip


def run_program(tmp_path, listing, *arguments, text=""):
    (tmp_path / "p.bas").write_text(listing)
    return sidlearn("run", "p.bas", "-o", "p.csv", *arguments, cwd=tmp_path, text=text)


def test_keys_feed_wait_get_and_input(tmp_path):
    result = run_program(tmp_path, ASKING, "--keys", "XJO{return}{f1}")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split("\n") == ["KEY X", "NAME? HI JO", " 133 ", ""]


def test_input_reads_standard_input_when_keys_are_used_up(tmp_path):
    result = run_program(
        tmp_path, '10 get a$:input b$,c:print a$;b$;c\n20 input d$:print "no"', "--keys", "k", text="bob,7\n"
    )
    assert result.returncode == 0
    assert result.stdout.split("\n")[0] == "? KBOB 7 "
    assert "NO" not in result.stdout


def test_unknown_key_is_told_on_one_line(tmp_path):
    result = run_program(tmp_path, ASKING, "--keys", "{f9}")
    assert result.returncode == 2
    assert result.stderr.startswith("sidlearn: unknown name {f9}")
    assert len(result.stderr.splitlines()) == 1


def test_files_are_written_and_read_in_the_folder(tmp_path):
    (tmp_path / "disk").mkdir()
    program = """10 open 1,8,2,"scores,s,w":print#1,"ann";7:print#1,"bob,9":close 1
20 open 1,8,2,"scores":input#1,a$,b$,c:print a$;b$;c;st
30 get#1,x$:print asc(x$);st:close1
40 open 15,8,15:open 2,8,2,"none":input#15,e,e$:print e;e$
50 save"me",8:load"none",8
"""
    result = run_program(tmp_path, program, "--files", "disk")
    assert result.stdout.split("\n")[:4] == ["ANN 7 BOB 9  64 ", " 13  66 ", " 62 FILE NOT FOUND", ""]
    assert "?FILE NOT FOUND  ERROR IN 50" in result.stdout
    assert result.returncode == 1
    assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["me.prg", "scores"]
    assert (tmp_path / "disk" / "scores").read_bytes() == b"ANN 7 \rBOB,9\r"
    assert sidlearn("list", "disk/me.prg", cwd=tmp_path).stdout.startswith("10 open 1,8,2")


def test_without_a_folder_there_is_no_disk(tmp_path):
    result = run_program(tmp_path, '10 open 1,8,2,"x,s,w"')
    assert "?DEVICE NOT PRESENT  ERROR IN 10" in result.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.bas", "p.csv"]


@posix
@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "link", "pipe", "sub", "hard", ".", "..", "sub/inner", "*ecret", "\\secret", "device"],
)
def test_nothing_outside_the_folder_is_read_or_written(tmp_path, name):
    disk = tmp_path / "disk"
    (disk / "sub").mkdir(parents=True)
    secret, inner = tmp_path / "secret", disk / "sub" / "inner"
    secret.write_text("SECRET\r")
    inner.write_text("SECRET\r")
    (disk / "link").symlink_to(secret)
    (disk / "device").symlink_to("/dev/zero")
    os.link(secret, disk / "hard")
    os.mkfifo(disk / "pipe")
    program = f"""10 open 1,8,2,"{name},s,r":input#1,a$:print "[";a$;"]";st:close 1
20 open 1,8,3,"{name},s,w":print#1,"broken":close 1
30 open 1,8,3,"@0:{name},s,w":print#1,"broken":close 1
35 open 1,8,3,"{name},s,a":print#1,"broken":close 1
40 save "@:{name}",8
50 print "done":load "{name}",8
"""
    result = run_program(tmp_path, program.replace("\\", "{$5c}"), "--files", "disk", "--seconds", "60")
    assert "SECRET" not in result.stdout
    assert "DONE" in result.stdout
    assert secret.read_text() == inner.read_text() == "SECRET\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "p.bas", "p.csv", "secret"]
    assert sorted(p.name for p in (disk / "sub").iterdir()) == ["inner"]


def test_file_larger_than_memory_and_line_longer_than_the_buffer(tmp_path):
    (tmp_path / "big").write_bytes(b"X" * 100_000)
    result = run_program(tmp_path, '10 open1,8,2,"big":input#1,a$', "--files", ".")
    assert "?STRING TOO LONG  ERROR IN 10" in result.stdout
    result = run_program(tmp_path, '10 load"big",8', "--files", ".")
    assert "?OUT OF MEMORY  ERROR IN 10" in result.stdout


def test_cmd_and_print_to_the_screen_and_a_file(tmp_path):
    program = '10 open1,3:print#1,"scr";1:open2,8,2,"f,s,w":cmd2:print"to file",5:print#2:print"here":close2'
    result = run_program(tmp_path, program, "--files", ".")
    assert result.stdout == "SCR 1 \nHERE\n"
    assert (tmp_path / "f").read_bytes() == b"\rTO FILE" + b" " * 10 + b" 5 \r\r"


# the prompt


def basic(tmp_path, *lines, arguments=()):
    result = sidlearn("basic", *arguments, cwd=tmp_path, text="".join(f"{line}\n" for line in lines))
    assert result.stderr == ""
    assert result.returncode == 0
    return result.stdout


def test_lines_are_edited_listed_and_run(tmp_path):
    output = basic(tmp_path, '20 PRINT "B"', '10 print "a"', "15 ? 1+1", "20", "list", "run", "new", "list")
    listing, printed, after = output.split("READY.\n")[1:4]
    assert listing == '\n10 PRINT "A"\n15 PRINT 1+1\n'
    assert printed == "A\n 2 \n\n"
    assert after == "\n"
    assert output.endswith("READY.\n\nREADY.\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("input a", "?ILLEGAL DIRECT  ERROR"),
        ("get a$", "?ILLEGAL DIRECT  ERROR"),
        ("def fn a(x)=1", "?ILLEGAL DIRECT  ERROR"),
        ("cont", "?CAN'T CONTINUE  ERROR"),
        ("primt", "?SYNTAX  ERROR"),
        ("goto 5", "?UNDEF'D STATEMENT  ERROR"),
        ("64000 end", "?SYNTAX  ERROR"),
        ('load"none"', "?FILE NOT FOUND  ERROR"),
        ("print" + "-" * 90 + "1", "?STRING TOO LONG  ERROR"),
        ("stop", "BREAK"),
    ],
)
def test_errors_in_direct_mode_name_no_line(tmp_path, line, message):
    assert f"\n{message}\nREADY.\n" in basic(tmp_path, line)


def test_stop_and_cont_keep_variables_and_loops(tmp_path):
    output = basic(tmp_path, "10 for i=1 to 3:stop:print i:next", "run", "print i", "cont", "i=3", "cont")
    assert re.sub(r"\s+", " ", output).strip() == (
        "READY. BREAK IN 10 READY. 1 READY. 1 BREAK IN 10 READY. READY. 3 READY."
    )


def test_input_takes_the_next_typed_line(tmp_path):
    assert "WHO? HI ANN\n" in basic(tmp_path, '10 input "who";a$:print "hi ";a$', "run", "ann", "print 1")


def test_programs_are_saved_and_loaded_as_program_and_listing(tmp_path):
    basic(tmp_path, '10 print "{clr}hello"', 'save "tune"', 'save "tune.bas"')
    assert (tmp_path / "tune.prg").read_bytes()[:2] == b"\x01\x08"
    assert (tmp_path / "tune.bas").read_text() == '10 print "{clr}hello"\n'
    for name in ("tune", "TUNE.PRG", "tu*", "tune.bas"):
        output = basic(tmp_path, f'load "{name}"', "list")
        assert '10 PRINT "{clr}HELLO"' in output
        assert "LOADING" in output
    assert "63, FILE EXISTS" in basic(tmp_path, "10 rem", 'save "tune"')
    assert "FILE EXISTS" not in basic(tmp_path, "10 rem", 'save "@:tune"', 'verify "tune"')
    assert "10 REM" in basic(tmp_path, "list", arguments=("tune.prg",))


def test_running_programs_do_not_reach_the_working_folder(tmp_path):
    output = basic(tmp_path, '10 save "x",8', "run")
    assert "?DEVICE NOT PRESENT  ERROR IN 10" in output
    assert list(tmp_path.iterdir()) == []
    basic(tmp_path, '10 save "x",8', "run", arguments=("--files", "."))
    assert [p.name for p in tmp_path.iterdir()] == ["x.prg"]


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, *arguments, cwd, **environ):
        import pty

        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(cwd)
            os.execve(sys.executable, [sys.executable, "-m", "sidlearn", *arguments], environment(**environ))
        self.seen = ""

    def expect(self, text, seconds=60.0):
        """Read until `text` appears; return what came before it."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
                except OSError:
                    assert text in self.seen, self.seen
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, last_key=""):
        """Wait until the process ends; `last_key` is typed again and again: a terminal may swallow Ctrl-D."""
        end = time.monotonic() + 60
        typed = 0.0
        while time.monotonic() < end:
            if last_key and time.monotonic() - typed > 2:
                typed = time.monotonic()
                self.type(last_key)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 4096).decode("utf-8", "replace")
                except OSError:
                    time.sleep(0.05)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"still running; {self.seen}")

    def echoes(self):
        import termios

        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)


@posix
def test_prompt_in_a_terminal_with_colours_history_stop_and_end(tmp_path):
    terminal = Terminal("basic", cwd=tmp_path)
    terminal.expect("READY.")
    terminal.type('10 print "{red}x"\r')
    terminal.type("list\r")
    assert "\x1b[94mPRINT" in terminal.expect("READY.")
    terminal.type("run\r")
    assert "\x1b[38;5;124mX" in terminal.expect("READY.")
    terminal.type("20 goto 20\r")
    terminal.type("run\r")
    terminal.expect("X")
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.expect("BREAK IN 20")
    terminal.expect("READY.")
    terminal.type("\x1b[A\x1b[A")
    terminal.expect("20 goto 20")
    terminal.type("\r")
    terminal.type("print 7*6\r")
    terminal.expect(" 42")
    terminal.expect("READY.")
    assert terminal.wait("\x04") == 0


@posix
def test_prompt_without_colours(tmp_path):
    terminal = Terminal("basic", cwd=tmp_path, NO_COLOR="1")
    terminal.expect("READY.")
    terminal.type('10 print "{red}x"\r')
    terminal.type("list\r")
    assert "\x1b[94m" not in terminal.expect("READY.")
    assert terminal.wait("\x04") == 0


@posix
def test_keys_typed_at_the_prompt_reach_get_and_input(tmp_path):
    terminal = Terminal("basic", cwd=tmp_path, NO_COLOR="1")
    terminal.expect("READY.")
    terminal.type('10 print "go"\r')
    terminal.type('20 get a$:if a$="" then 20\r30 print "got ";a$:input "line";b$:print b$;"!"\r')
    terminal.type("run\r")
    terminal.expect("GO")
    time.sleep(0.5)
    terminal.type("k")
    terminal.expect("GOT K")
    terminal.expect("LINE?")
    terminal.type("abc\r")
    terminal.expect("ABC!")
    terminal.expect("READY.")
    assert terminal.wait("\x04") == 0


@posix
def test_keys_typed_while_a_program_plays(tmp_path):
    (tmp_path / "p.bas").write_text(
        '10 poke 54296,15:print "go"\n20 get a$:if a$="" then 20\n30 print "got ";a$:input "line";b$:print b$;"!"\n'
    )
    terminal = Terminal("run", "p.bas", "--seconds", "60", cwd=tmp_path, NO_COLOR="1")
    terminal.expect("GO", COMPILING_SECONDS)
    assert not terminal.echoes()
    terminal.type("k")
    terminal.expect("GOT K")
    terminal.expect("LINE?")
    terminal.type("abx\x7fc\r")
    terminal.expect("ABC!")
    assert terminal.wait() == 0
    assert terminal.echoes()


@posix
def test_ctrl_c_while_a_program_plays_gives_the_terminal_back(tmp_path):
    (tmp_path / "p.bas").write_text('10 print "go"\n20 wait 198,1:input a$:goto 20\n')
    terminal = Terminal("run", "p.bas", cwd=tmp_path)
    terminal.expect("GO", COMPILING_SECONDS)
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert terminal.echoes()
