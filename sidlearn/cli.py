"""The command line: parses, calls the public API, prints. What it imports it imports inside the verb that needs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sidlearn import __version__
from sidlearn.bench import BENCHES
from sidlearn.errors import DeviceError, SidlearnError, nearest, one_of

if TYPE_CHECKING:
    from sidlearn.config import Config
    from sidlearn.sources import Request

DONE, PROGRAM_ERROR, BAD_USE = 0, 1, 2
"""Exit statuses; Ctrl-C gives 130."""

COMPILING = "compiling the chip for this computer: once only, up to a minute"


class UsageError(SidlearnError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line that name the nearest valid word."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = action.dest if action.dest == "verb" else "/".join(action.option_strings) or action.dest
            raise UsageError(f"{name} {value!r}: expected {one_of(action.choices)}{nearest(value, action.choices)}")


def number(kind: type, least: float, most: float) -> Any:
    """Return an argparse type: a number of `kind` from `least` to `most`."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {what} from {least:g} to {most:g}, given {text!r}")
        return value

    return convert


def build_parser() -> Parser:
    """Return the parser of all verbs; shell completion is made from it too."""
    parser = Parser(
        prog="sidlearn", description="The sound chip of the Commodore 64, and a machine that learns the POKEs."
    )
    parser.add_argument("--version", action="version", version=f"sidlearn {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)

    run = verbs.add_parser("run", help="play a program or a log aloud, or write it to files")
    run.add_argument(
        "source",
        metavar="SOURCE",
        help="listing, .prg, disk.d64:NAME, .sid tune, log .csv .dump .siddump, a folder of them or a playlist .m3u",
    )
    run.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        action="append",
        default=[],
        help="a file to write: .wav .flac .csv .dump .sid .prg .bas .mid; with a list {name} stands for each one's"
        " number and name; may be given again",
    )
    run.add_argument(
        "--play", action="store_true", help="play aloud too when files are written, where there is a sound device"
    )
    run.add_argument("--keys", metavar="TEXT", help="keys for GET and INPUT, as in listings: 'Y{return}{f1}'")
    run.add_argument("--files", metavar="FOLDER", help="the folder that stands for a program's disk")
    run.add_argument("--loop", action="store_true", help="begin again at the end, until Ctrl-C")
    run.add_argument(
        "--fade", type=number(float, 0, 600), default=0.0, metavar="N", help="seconds of fading out before the end"
    )
    run.add_argument(
        "--timing",
        choices=("auto", "cycles"),
        default="auto",
        help="how .sid and .prg play: by calls some times a picture where that carries it, or on their own by cycles",
    )
    run.add_argument("--window", action="store_true", help="show the chip at work in a window, aloud")
    run.add_argument("--asid", metavar="PORT", help="play on real chips at this MIDI port instead of aloud")
    run.add_argument("--rate", type=number(int, 8_000, 192_000), metavar="HZ", help="samples a second")
    run.add_argument("--mode", choices=("exact", "fast"), help="how the filter is solved")
    _source_options(run)
    run.set_defaults(do=_run)

    play = verbs.add_parser("play", help="play the chip live: MIDI keyboard, computer keyboard, window, real hardware")
    play.add_argument("--midi", metavar="PORT", help="input port or part of its name; 'virtual' makes one")
    play.add_argument("--instrument", metavar="NAME", help="an instrument by name, or a file .toml .ins")
    play.add_argument("--window", action=argparse.BooleanOptionalAction, help="with or without the window")
    play.add_argument("--asid", metavar="PORT", help="send every write to real hardware at this output port")
    play.add_argument("--asid-in", metavar="PORT", help="be the hardware: play the ASID that comes in at this port")
    play.add_argument("--sids", type=number(int, 1, 3), default=1, metavar="N", help="chips for --asid-in")
    play.add_argument("--keys", metavar="MODE", choices=("poly", "mono", "unison", "chord", "arp", "multi"))
    play.add_argument("--host", choices=("sdl", "portaudio"), help="what opens the sound device")
    play.add_argument("--block", type=number(int, 32, 8_192), metavar="N", help="samples it takes at a time")
    play.add_argument("--rate", type=number(int, 8_000, 192_000), metavar="HZ", help="samples a second")
    play.add_argument("--mode", choices=("exact", "fast"), help="how the filter is solved")
    play.add_argument("--model", metavar="MODEL", help="6581 or 8580")
    play.add_argument("--video", choices=("pal", "ntsc"), help="television standard, which sets the clock")
    play.add_argument("--seconds", type=number(float, 0.001, 36_000), metavar="N", help="end after so long")
    play.add_argument("--instruments", action="store_true", help="list the instruments and end")
    play.add_argument("--ports", action="store_true", help="list the MIDI ports and end")
    play.add_argument("--json", action="store_true", help="print the counters at the end as one JSON object")
    play.set_defaults(do=_play_live, song=None)

    basic = verbs.add_parser("basic", help="open BASIC's READY. prompt in the terminal")
    basic.add_argument("program", metavar="PROGRAM", nargs="?", help="a listing or .prg to begin with")
    basic.add_argument("--files", metavar="FOLDER", help="the folder of LOAD, SAVE and a program's disk files")
    basic.add_argument("--model", metavar="MODEL", help="6581 or 8580")
    basic.add_argument("--video", choices=("pal", "ntsc"), help="television standard, which sets the clock")
    basic.set_defaults(do=_basic, seconds=None, song=None)

    learn = verbs.add_parser("learn", help="listen to a sound and write the POKEs that play it")
    learn.add_argument("targets", metavar="TARGET", nargs="+", help="a sound file, or a folder of them")
    learn.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        action="append",
        default=[],
        help="a file to write, as for run, or .toml .ins: the loudest note as an instrument; with several targets "
        "{name} stands for each one's; may be given again",
    )
    learn.add_argument(
        "--voices", type=number(int, 1, 3), metavar="N", help="voices that may sound; 1 where an instrument is wanted"
    )
    learn.add_argument(
        "--frame-rate", type=int, default=50, metavar="HZ", help="50, 100 or 200 register frames a second"
    )
    learn.add_argument(
        "--method", default="auto", metavar="METHOD", help="auto, decode (a SID made it) or pursue (any sound)"
    )
    learn.add_argument("--model", metavar="MODEL", help="the chip that is to play it: 6581 or 8580")
    learn.add_argument("--quality", default="best", metavar="QUALITY", help="best, or fast for less search")
    learn.add_argument(
        "--seed", type=number(int, 0, 4_294_967_295), default=0, metavar="N", help="equal seeds, equal bytes"
    )
    learn.add_argument("--seconds", type=number(float, 0.01, 3_600), metavar="N", help="learn the first N seconds only")
    learn.add_argument("--report", metavar="FILE", help="figures as .json, or with pictures and sounds as .html")
    learn.add_argument("--resume", action="store_true", help="go on where a run of the same kind was stopped")
    learn.add_argument("--jobs", type=number(int, 1, 1_024), default=1, metavar="N", help="how many targets at a time")
    learn.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler whose machines do the work")
    learn.set_defaults(do=_learn)

    tokenize = verbs.add_parser("tokenize", help="turn a listing into a program file")
    tokenize.add_argument("listing", metavar="LISTING", help="a text listing: .bas .tok64 .txt")
    tokenize.add_argument("-o", "--output", metavar="PROGRAM.prg", required=True)
    tokenize.add_argument(
        "--typed",
        action="store_true",
        help="as the machine takes it from the keyboard: ? is PRINT, lines are put in order",
    )
    tokenize.set_defaults(do=_tokenize)

    list_ = verbs.add_parser("list", help="print a program file as a listing")
    list_.add_argument("program", metavar="PROGRAM.prg", help="a BASIC program, or disk.d64:NAME")
    list_.set_defaults(do=_list)

    info = verbs.add_parser("info", help="tell what a source holds")
    info.add_argument("source", metavar="SOURCE")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    _source_options(info)
    info.set_defaults(do=_info)

    score = verbs.add_parser("score", help="tell how far a sound is from another")
    score.add_argument("reference", metavar="REFERENCE.wav")
    score.add_argument("candidate", metavar="CANDIDATE.wav")
    score.add_argument("--json", action="store_true", help="print one JSON object")
    score.set_defaults(do=_score)

    bench = verbs.add_parser("bench", help="measure speed, memory and accuracy beside the peers")
    bench.add_argument("what", choices=BENCHES)
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.add_argument("--quick", action="store_true", help="learn: one second of one sound, less effort")
    bench.add_argument("--targets", metavar="DIR", help="learn: sounds of this folder (.wav .flac) instead of our own")
    bench.set_defaults(do=_bench)

    config = verbs.add_parser("config", help="print the settings in force, as a sidlearn.toml")
    config.set_defaults(do=_config)

    doctor = verbs.add_parser(
        "doctor", help="tell what sound, cache and packages are found, and what to do where one is missing"
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object")
    doctor.add_argument(
        "--roms",
        action="store_true",
        help="also tell what ROM images lie in the folder roms, and whether their BASIC makes the writes of ours",
    )
    doctor.set_defaults(do=_doctor)

    completion = verbs.add_parser("completion", help="print a completion script for a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(do=_completion)
    return parser


def _source_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="MODEL", help="6581 or 8580")
    parser.add_argument(
        "--profile", metavar="PROFILE", help="what makes the chip differ from its model: galway, 'combined=weak', ..."
    )
    parser.add_argument("--video", choices=("pal", "ntsc"), help="television standard, which sets the clock")
    parser.add_argument(
        "--seconds",
        type=number(float, 0.001, 36_000),
        metavar="N",
        help="how long a log lasts, or a program at the most",
    )
    parser.add_argument("--song", type=number(int, 1, 256), metavar="N", help="song of a file that holds several")


def run_command(arguments: list[str] | None = None) -> int:
    """Parse and run a command line; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = build_parser()
    try:
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            raise UsageError(_unknown_argument(parser, options.verb, unknown[0]))
        return options.do(options)
    except SidlearnError as error:
        print(f"sidlearn: {error}", file=sys.stderr)
        return BAD_USE


def _unknown_argument(parser: Parser, verb: str, word: str) -> str:
    verb_parser = verb_parsers(parser)[verb]
    known = [o for a in verb_parser._actions for o in a.option_strings]
    hint = nearest(word.partition("=")[0], known) if word.startswith("-") else ""
    return f"{word!r}: not an argument of {verb}{hint}; see sidlearn {verb} --help"


def verb_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each verb by its name."""
    return next(a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))


def _settings(options: argparse.Namespace) -> tuple[Config, Request]:
    """Return settings and request with the command line applied."""
    from dataclasses import replace

    from sidlearn import config
    from sidlearn.chip import models
    from sidlearn.sources import Request

    settings = config.load()
    model = models.check_name(options.model or settings.chip.model)
    given = getattr(options, "profile", None)
    profile = settings.chip.profile if given is None else given
    if given is not None or options.model is None:
        models.parameters(model, **models.profile(profile))
    else:
        profile = _fitting_profile(model, profile)
    video = options.video or settings.machine.video
    mode = getattr(options, "mode", None) or settings.chip.mode
    chip = replace(settings.chip, model=model, profile=profile, mode=mode)
    audio = replace(settings.audio, rate=getattr(options, "rate", None) or settings.audio.rate)
    machine = replace(settings.machine, video=video)
    return replace(settings, chip=chip, audio=audio, machine=machine), Request(
        options.song,
        video,
        model,
        frozenset(name for name in ("video", "model") if getattr(options, name) is None),
        options.seconds is None,
        profile=profile,
    )


def _fitting_profile(model: str, profile: str) -> str:
    """Return the profile, or none where it is that of the other chip than the one that plays after all."""
    from sidlearn.chip import models
    from sidlearn.errors import ModelError
    from sidlearn.terminal import note

    changes = models.profile(profile)
    try:
        models.parameters(model, **changes)
    except ModelError as error:
        note(f"{error}; playing without profile {profile!r}")
        return ""
    return profile


def _run(options: argparse.Namespace) -> int:
    from sidlearn import outputs, playlist

    settings, request = _settings(options)
    paths = [outputs.check(o) for o in options.output]
    if options.asid and options.window:
        raise UsageError("--asid plays on real chips alone: expected no --window")
    if not paths:
        return _run_aloud(options, request, settings)
    for name in ("loop", "asid", "window"):
        if getattr(options, name):
            raise UsageError(f"--{name} plays in real time: expected no -o")
    if not playlist.is_list(options.source):
        return _write(options, paths, request, settings)
    return _write_list(options, paths, request, settings)


def _write(options: argparse.Namespace, paths: list[Path], request: Request, settings: Config) -> int:
    """Play one source through and write its files."""
    from dataclasses import replace

    from sidlearn import outputs, sources
    from sidlearn.terminal import note, patience

    heard = options.play or any(path.suffix.lower() not in outputs.LOGS for path in paths)
    request = replace(_with_typing(request, options), answers=heard or options.model is not None)
    performance = sources.open_source(options.source, request)
    settings = _with_model_of(performance, settings)
    with patience(COMPILING):
        result = sources.perform(performance, request, options.seconds, settings)
        _printer()(result.printed)
        for path in paths:
            chip, audio = settings.chip, settings.audio
            outputs.save(
                result.writes,
                path,
                chip.model,
                audio.rate,
                chip.mode,
                audio.wav_bits,
                chip.profile,
                fade_seconds=options.fade,
                timing=options.timing,
            )
            note(f"{path}: {result.writes.seconds:.2f} s, {len(result.writes)} writes")
    if getattr(performance, "unanswered", False):
        note(f"{options.source}: reads OSC3 or ENV3, which are 0 in a log of BASIC; --model lets a chip answer")
    if result.cut:
        _note_cut(options, settings)
    if options.play:
        _play_written(result.writes, options, settings)
    return _end(performance, options)


def _write_list(options: argparse.Namespace, paths: list[Path], request: Request, settings: Config) -> int:
    """Write the files of every entry of a folder or playlist; one that cannot be used does not stop the others."""
    from dataclasses import replace

    from sidlearn import playlist

    entries = playlist.entries(options.source, options.song)
    status = DONE
    for number, entry in enumerate(entries, 1):
        named = playlist.named_outputs(paths, number, len(entries), entry)
        of_entry = argparse.Namespace(**{**vars(options), "source": str(entry.path), "song": entry.song})
        try:
            status = max(status, _write(of_entry, named, replace(request, song=entry.song), settings))
        except SidlearnError as error:
            print(f"sidlearn: {error}", file=sys.stderr)
            status = BAD_USE
    return status


def _with_model_of(performance: Any, settings: Config) -> Config:
    """Return the settings with the chip that a source was written for, where it has chosen one."""
    from dataclasses import replace

    model = getattr(performance, "model", None) or settings.chip.model
    profile = settings.chip.profile
    if model != settings.chip.model:
        profile = _fitting_profile(model, profile)
    return replace(settings, chip=replace(settings.chip, model=model, profile=profile))


def _end(performance: Any, options: argparse.Namespace) -> int:
    """Return the exit status; BASIC has told its error itself, a tune has not."""
    error = performance.error
    if error and not error.startswith(("?", "BREAK")):
        print(f"sidlearn: {options.source}: {error}", file=sys.stderr)
    return PROGRAM_ERROR if error else DONE


def _with_typing(request: Request, options: argparse.Namespace, raw_keys: Any = None) -> Request:
    """Return the request with the keys, lines and files of the command line; `raw_keys` are typed as it plays."""
    from dataclasses import replace

    from sidlearn.basic.keyboard import given_keys
    from sidlearn.typist import LiveKeyboard

    return replace(
        request,
        keys=given_keys(options.keys) if options.keys else b"",
        lines=sys.stdin,
        keyboard=LiveKeyboard(raw_keys) if raw_keys is not None else None,
        files=Path(options.files) if options.files is not None else None,
    )


def _run_aloud(options: argparse.Namespace, request: Request, settings: Config) -> int:
    """Play a source, or a list of them; while there is no program that wants them, keys step through the songs."""
    from contextlib import nullcontext

    from sidlearn import playlist
    from sidlearn.terminal import RawKeys

    position = playlist.Position(playlist.entries(options.source, options.song), options.loop)
    alone = not playlist.is_list(options.source)
    raw_keys = RawKeys() if RawKeys.available() else None
    status, failed = DONE, 0
    with raw_keys or nullcontext():
        while (entry := position.entry) is not None and failed < position.count:
            of_entry = argparse.Namespace(**{**vars(options), "source": str(entry.path), "song": entry.song})
            try:
                word = _play_entry(of_entry, request, settings, raw_keys, alone)
            except SidlearnError as error:
                if alone or isinstance(error, DeviceError):
                    raise
                print(f"sidlearn: {error}", file=sys.stderr)
                word, failed = BAD_USE, failed + 1
            else:
                failed = 0
            if isinstance(word, int):
                status = max(status, word)
                position.go_on()
            else:
                position.step(*word)
    return status


def _play_entry(
    options: argparse.Namespace, request: Request, settings: Config, raw_keys: Any, alone: bool
) -> int | tuple[str, int, int]:
    """Play one source aloud; return its exit status, or the key that stopped it, the song and how many there are."""
    from dataclasses import replace

    from sidlearn import playlist, sources
    from sidlearn.terminal import note

    typing = _with_typing(replace(request, song=options.song), options, raw_keys if alone else None)
    performance = sources.open_source(options.source, typing)
    settings = _with_model_of(performance, settings)
    song, songs = getattr(performance, "song", 1), getattr(performance, "songs", 1)
    of_keys = None if isinstance(performance, sources.BasicPerformance) and alone else raw_keys
    if not alone or songs > 1:
        place = f", song {song} of {songs}" if songs > 1 else ""
        note(f"{options.source}{place}" + (f"; {playlist.KEYS_TEXT}" if of_keys else ""))
    words: list[str] = []

    def stopped() -> bool:
        word = playlist.command(of_keys.read()) if of_keys else None
        if word:
            words.append(word)
        return bool(words)

    status = _play(options, performance, settings, stopped)
    return (words[-1], song, songs) if words else status


def _play(options: argparse.Namespace, performance: Any, settings: Config, stopped: Callable[[], bool]) -> int:
    from sidlearn.play.player import play
    from sidlearn.terminal import patience

    with patience(COMPILING, after_seconds=2.5) as waiting:
        if options.window:
            from sidlearn.play.watched import play_in_window

            title = Path(options.source).name
            cut = play_in_window(
                performance, settings, title, options.seconds, _printer(), started=waiting.cancel, stopped=stopped
            )
        elif options.asid:
            cut = _play_on_hardware(options, performance, settings, waiting.cancel, stopped)
        else:
            cut = play(
                performance,
                settings,
                options.seconds,
                printed=_printer(),
                started=waiting.cancel,
                stopped=stopped,
                fade_seconds=options.fade,
            )
    if cut:
        _note_cut(options, settings)
    return _end(performance, options)


def _play_on_hardware(
    options: argparse.Namespace,
    performance: Any,
    settings: Config,
    started: Callable[[], None],
    stopped: Callable[[], bool],
) -> bool:
    from contextlib import closing

    from sidlearn.play.hardware import open_hardware, play_on

    with closing(open_hardware(options.asid, performance.clock_hz)) as hardware:
        return play_on(hardware, performance, settings, options.seconds, _printer(), started, stopped)


def _note_cut(options: argparse.Namespace, settings: Config) -> None:
    from sidlearn.terminal import note

    if options.seconds is None:
        limit = settings.machine.seconds
        note(f"{options.source}: stopped after {limit} s of its own time; --seconds sets another limit")


def _play_written(writes: Any, options: argparse.Namespace, settings: Config) -> None:
    from sidlearn.errors import DeviceError
    from sidlearn.play.player import play
    from sidlearn.sources import LogPerformance
    from sidlearn.terminal import note

    try:
        play(LogPerformance(writes, "register log"), settings, writes.seconds)
    except DeviceError as error:
        note(f"not played aloud: {error}")


def _printer() -> Callable[[bytes], None]:
    """Return a function that puts what a program prints on standard output, as text."""
    from sidlearn.basic.ansi import AnsiTerminal
    from sidlearn.basic.petscii import Terminal
    from sidlearn.terminal import shows_colours

    terminal = AnsiTerminal() if shows_colours(sys.stdout) else Terminal()

    def write(output: bytes) -> None:
        if output and sys.stdout.writable():  # who closes standard output wants to hear the program, not to read it
            sys.stdout.write(terminal.text(output))
            sys.stdout.flush()

    return write


def _learn(options: argparse.Namespace) -> int:
    from sidlearn import config
    from sidlearn.learn import many, report
    from sidlearn.learn.instrument import is_instrument
    from sidlearn.learn.learner import Settings
    from sidlearn.terminal import Bar, note

    model = options.model or config.load().chip.model
    voices = options.voices or (1 if options.output and all(map(is_instrument, options.output)) else 3)
    order = many.Order(
        tuple(map(Path, options.targets)),
        tuple(options.output),
        options.report,
        Settings(model, options.frame_rate, options.quality, options.seed, voices),
        options.method,
        options.seconds,
        options.resume,
    )
    jobs = many.plan(order)

    def told(done: many.Done) -> None:
        bar.clear()
        if done.error is not None:
            print(f"sidlearn: {done.error}", file=sys.stderr)
        elif done.learned is not None:
            files = ", ".join(map(str, done.job.files))
            print(f"{files}: {report.summary(done.learned.report)}; {done.seconds:.1f} s of processor time")

    try:
        with many.executor(options.scheduler, options.jobs) as pool, Bar() as bar:
            done = many.run(order, pool, bar.show, told)
    except KeyboardInterrupt:
        kept = [job.checkpoint for job in jobs if job.checkpoint.exists()]
        if kept:
            note(f"stopped; the same command with --resume goes on from {kept[0]}")
        raise
    return BAD_USE if any(d.error is not None for d in done) else DONE


def _play_live(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from sidlearn.play import session

    if options.instruments:
        print("\n".join(session.names_of_instruments()))
        return DONE
    if options.ports:
        from sidlearn.midi.ports import find_system

        system = find_system()
        for kind, names in (("in ", system.inputs()), ("out", system.outputs())):
            print("".join(f"{kind}  {name}\n" for name in names), end="")
        return DONE
    settings, _ = _settings(options)
    if options.keys:
        settings = replace(settings, play=replace(settings.play, mode=options.keys))
    wishes = session.Wishes(
        options.midi,
        options.instrument,
        options.window,
        options.asid,
        options.asid_in,
        options.sids,
        options.seconds,
        options.host,
        options.block,
    )
    facts = session.play_live(settings, wishes)
    if options.json:
        import json

        print(json.dumps(facts))
    return DONE


def _basic(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from sidlearn.prompt import open_prompt
    from sidlearn.sources import check_exists

    settings, request = _settings(options)
    if options.program is not None:
        check_exists(options.program)
    open_prompt(settings, replace(request, files=Path(options.files) if options.files else None), options.program)
    return DONE


def _tokenize(options: argparse.Namespace) -> int:
    from sidlearn.basic.listing import open_program
    from sidlearn.errors import OutputError
    from sidlearn.files import whole_file
    from sidlearn.sources import check_exists
    from sidlearn.terminal import note

    output = Path(options.output)
    if output.suffix.lower() != ".prg":
        raise OutputError(f"{output}: expected a name that ends in .prg")
    check_exists(options.listing)
    program = open_program(options.listing, typed=options.typed)
    for text in program.notes:
        note(f"{options.listing}: {text}")
    with whole_file(output) as file:
        file.write(program.data)
    return DONE


def _list(options: argparse.Namespace) -> int:
    from sidlearn.basic.listing import detokenize, read_program
    from sidlearn.sources import check_exists

    check_exists(options.program)
    print(detokenize(read_program(options.program)), end="")
    return DONE


def _info(options: argparse.Namespace) -> int:
    from sidlearn import sources

    settings, request = _settings(options)
    performance = sources.open_source(options.source, request)
    facts = [("file", str(options.source)), ("kind", performance.kind), *performance.facts()]
    result = sources.perform(performance, request, options.seconds, settings)
    writes = result.writes
    video = getattr(performance, "request", request).video
    facts.append(("length", f"{writes.seconds:.3f} s, {writes.length} cycles at {writes.clock_hz} Hz ({video})"))
    facts.append(("writes", f"{len(writes)} to {writes.sids} SID{'s' if writes.sids > 1 else ''}"))
    facts += _voices(writes)
    if result.error or result.cut:
        facts.append(("end", result.error or "runs on at the time limit"))
    facts = list(dict(facts).items())
    if options.json:
        import json

        print(json.dumps(dict(facts)))
    else:
        width = max(len(name) for name, _ in facts)
        print("\n".join(f"{name:<{width}}  {text}" for name, text in facts))
    return DONE


def _voices(writes: Any) -> list[tuple[str, str]]:
    """Return for each voice how many notes its gate begins."""
    from sidlearn.registers import CONTROL, GATE, VOICES, voice_register

    rows = []
    for voice in range(VOICES):
        control = writes.events[writes.events["register"] == voice_register(voice, CONTROL)]["value"]
        gates = control & GATE
        notes = int(((gates[1:] == 1) & (gates[:-1] == 0)).sum()) + int(len(gates) > 0 and gates[0])
        rows.append((f"voice {voice + 1}", f"{notes} notes"))
    return rows


def _score(options: argparse.Namespace) -> int:
    from sidlearn import audio
    from sidlearn.learn import metrics, pairs

    reference, rate = audio.read(options.reference)
    candidate, other_rate = audio.read(options.candidate)
    common_rate = max(rate, other_rate)
    reference = pairs.mono(options.reference, pairs.resample(reference, rate, common_rate))
    candidate = pairs.mono(options.candidate, pairs.resample(candidate, other_rate, common_rate))
    values, reasons = metrics.score(reference, candidate, common_rate)
    if options.json:
        import json

        missing = {"missing": reasons} if reasons else {}
        print(json.dumps({name: values.get(name) for name in metrics.METRICS} | missing))
        return DONE
    for name, metric in metrics.METRICS.items():
        value = (
            f"{values[name]:8.3f} {metric.unit:<3}  {metric.text}" if name in values else f"{'-':>8}  {reasons[name]}"
        )
        print(f"{name:<12} {value}")
    return DONE


def _bench(options: argparse.Namespace) -> int:
    from importlib import import_module

    from sidlearn.terminal import Progress

    given = {}
    if options.what == "learn":
        given = {"quick": options.quick, "folder": Path(options.targets) if options.targets else None}
    elif options.quick or options.targets:
        raise SidlearnError(f"bench {options.what}: --quick and --targets are for bench learn")
    with Progress() as progress:
        report = import_module(f"sidlearn.bench.{options.what}").bench(progress.show, **given)
    print(report.json() if options.json else report.text())
    return DONE


def _config(options: argparse.Namespace) -> int:
    from sidlearn import config

    table = None
    for setting in config.describe():
        if setting.table != table:
            table = setting.table
            print(f"[{table}]")
        value = f'"{setting.value}"' if isinstance(setting.value, str) else setting.value
        print(f"{setting.key} = {value}  # {setting.origin}: {setting.text}")
    return DONE


def _doctor(options: argparse.Namespace) -> int:
    from sidlearn import doctor

    findings = doctor.examine(options.roms)
    if options.json:
        import json

        print(json.dumps([f.__dict__ for f in findings]))
    else:
        print(doctor.report(findings))
    return PROGRAM_ERROR if any(f.state == doctor.FAULT for f in findings) else DONE


def _completion(options: argparse.Namespace) -> int:
    from sidlearn.completion import script

    print(script(build_parser(), options.shell), end="")
    return DONE
