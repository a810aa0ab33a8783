"""The program, as ``emotion-search`` and ``python -m emotion_search``: Ctrl-C ends it without a
traceback, also while its modules are imported."""


def main() -> None:
    """Run the program."""
    try:
        from emotion_search.cli import main as run

        run()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
