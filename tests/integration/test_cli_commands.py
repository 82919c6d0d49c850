"""The commands on a real Redis, as a script would call them: what they print, their exit codes, what they change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ferryman import Queue
from ferryman.broker import Broker
from ferryman.cli.main import root
from ferryman.inspector import Inspector, QueueStats
from ferryman.link import SyncLink
from ferryman.workers import WorkerInfo, WorkerRegistry

emails = Queue("emails")

#: The stable contract of `stats --json`.
FIELDS = [
    *("queue", "waiting", "active", "delayed", "blocked", "dead", "completed", "failed", "retried", "recovered"),
    "discarded",
    *("cancelled", "expired", "enqueued", "workers", "parked", "oldest_waiting_s", "unaccounted"),
]


@emails.task
def send(to: str, subject: str = "hi") -> None:
    """Only its manifest is of interest."""


@emails.task
def count(number: int) -> None:
    """The same."""


class Shell:
    """Calls `ferryman` on one Redis, and looks at the queue `emails` behind its back."""

    def __init__(self, redis_url: str, link: SyncLink) -> None:
        self.redis_url = redis_url
        self.link = link

    def __call__(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(root, [*words, "--redis", self.redis_url], input=input)

    def ok(self, *words: str, input: str | None = None) -> str:
        result = self(*words, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "--json"))

    def stats(self) -> QueueStats:
        return self.link.run(Inspector("emails").stats())

    def start_worker(self) -> None:
        """Registers a worker that publishes the manifest and holds what it fetches."""
        worker = WorkerInfo("w1", "", "pod-1", 15_000, 1_000, 10, "acme.tasks", "1.0")
        self.link.run(WorkerRegistry("emails").register(worker, emails.manifest("acme.tasks")))

    def kill_task(self) -> None:
        """The next waiting task of `emails` goes to dead."""
        [delivery] = self.link.run(Broker("emails").fetch("w1", 1)).tasks
        self.link.run(
            Broker("emails").dead_letter("w1", delivery.id, delivery.token, error="Boom: it broke\n  at line 1")
        )


@pytest.fixture
def ferryman(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.delenv("FERRYMAN_REDIS_URL", raising=False)
    link = SyncLink.from_url(redis_url)
    yield Shell(redis_url, link)
    assert link.run(Inspector("emails").stats()).unaccounted == 0
    link.close()


def test_enqueue_prints_one_id_a_line(ferryman: Shell) -> None:
    ids = ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--count", "601").splitlines()
    assert len(set(ids)) == 601
    assert ferryman.stats().waiting == 601
    assert ferryman.json("show", "emails", ids[600])["args"] == {"to": "a"}


def test_enqueue_passes_every_option_on(ferryman: Shell) -> None:
    options = ["--delay", "1h", "--priority", "3", "--id", "t1", "--unique", "u", "--max-attempts", "2"]
    options += ["--keep-result", "5m", "--expires", "2h"]
    assert ferryman.ok("enqueue", "emails", "send", *options) == "t1\n"
    task = ferryman.json("show", "emails", "t1")
    assert task["state"] == "delayed"
    assert (task["priority"], task["unique"], task["options"]) == (3, "u", {"max_attempts": 2, "keep_result_s": 300.0})
    assert task["expires_at"] > task["run_at"]
    ferryman.ok("enqueue", "emails", "send", "--at", "2096-01-31T08:00:00+01:00", "--id", "t2")
    assert ferryman.json("show", "emails", "t2")["run_at"] == "2096-01-31T07:00:00.000Z"


def test_enqueue_sends_headers_along(ferryman: Shell) -> None:
    lines = ["--header", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "--header", "Tenant:7"]
    [task_id] = ferryman.ok("enqueue", "emails", "send", *lines).splitlines()
    assert ferryman.json("show", "emails", task_id)["headers"] == {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tenant": "7",
    }
    for wrong, says in (("no colon", "has no colon"), ("b ad: x", "--header: 'b ad' is no header name")):
        refused = ferryman("enqueue", "emails", "send", "--header", wrong)
        assert (refused.exit_code, says in refused.stderr) == (2, True), refused.stderr


def test_enqueue_reads_arguments_from_standard_input(ferryman: Shell) -> None:
    [task_id] = ferryman.ok("enqueue", "emails", "send", "-", input='{"to": "ü"}').splitlines()
    assert ferryman.json("show", "emails", task_id)["args"] == {"to": "ü"}


def test_an_id_or_unique_key_that_exists_prints_that_id_and_adds_nothing(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "send", "--id", "t1", "--unique", "u")
    again = ferryman("enqueue", "emails", "send", "--id", "t1")
    assert (again.exit_code, again.stdout) == (0, "t1\n")
    assert "existed already" in again.stderr
    assert ferryman.json("enqueue", "emails", "send", "--unique", "u") == {"id": "t1", "created": False}
    assert ferryman.stats().enqueued == 1


def test_enqueue_checks_name_and_arguments_once_a_worker_has_told_them(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "anything")
    ferryman.start_worker()
    unknown = ferryman("enqueue", "emails", "sent", '{"to": "a"}')
    assert unknown.exit_code == 1
    assert "did you mean 'send'?" in unknown.stderr
    assert "--allow-unknown" in unknown.stderr
    wrong = ferryman("enqueue", "emails", "count", '{"number": "7"}')
    assert wrong.exit_code == 1
    assert "parameter 'number' expected an integer, got '7'" in wrong.stderr
    assert ferryman.stats().enqueued == 1
    ferryman.ok("enqueue", "emails", "sent", "--allow-unknown")
    ferryman.ok("enqueue", "emails", "count", '{"number": 7}')
    assert ferryman.stats().enqueued == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["Emails", "send"], "'Emails' is not"),
        (["emails", "send", "{"], "this is not JSON"),
        (["emails", "send", "[1]"], "a JSON object is needed"),
        (["emails", "1send"], "TASK: '1send' is not"),
        (["emails", "send", "--delay", "5x"], "--delay: '5x' is not a duration"),
        (["emails", "send", "--delay", "1s", "--at", "2096-01-01T00:00:00Z"], "give one"),
        (["emails", "send", "--at", "2096-01-01"], "no time zone"),
        (["emails", "send", "--id", "a b"], "--id: 'a b' is not"),
        (["emails", "send", "--count", "2", "--id", "x"], "leave one out"),
        (["emails", "send", "--max-attempts", "0"], "--max-attempts: 0 is not"),
        (["emails", "send", '{"x": NaN}'], "ARGS_JSON: cannot be written as JSON"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_what_is_wrong(ferryman: Shell, words: list[str], says: str) -> None:
    result = ferryman("enqueue", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert ferryman.stats().enqueued == 0


def test_stats_json_has_exactly_the_contracted_fields(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "send", "--count", "2")
    ferryman.ok("enqueue", "sms", "send", "--delay", "1h")
    one = ferryman.json("stats", "emails")
    assert list(one) == FIELDS
    assert (one["queue"], one["waiting"], one["enqueued"], one["unaccounted"]) == ("emails", 2, 2, 0)
    assert [row["queue"] for row in ferryman.json("stats")] == ["emails", "sms"]
    assert [row["queue"] for row in ferryman.json("stats", "sms", "emails")] == ["sms", "emails"]


def test_stats_without_any_queue_is_an_empty_list(ferryman: Shell) -> None:
    assert ferryman.json("stats") == []


def test_stats_of_a_mistyped_queue_are_zero_with_a_remark(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "send")
    result = ferryman("stats", "emial", "--json")
    assert json.loads(result.stdout)["enqueued"] == 0
    assert "Did you mean 'emails'?" in result.stderr


def test_tables_are_aligned_and_say_what_to_notice(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "send", "--count", "3")
    ferryman.ok("enqueue", "sms", "send", "--delay", "1h")
    ferryman.ok("hold", "sms")
    head, first, second = ferryman.ok("stats").splitlines()
    assert head.split()[:3] == ["QUEUE", "WAITING", "ACTIVE"]
    assert first.endswith("no workers")
    assert second.endswith("held")
    assert head.index("WAITING") + len("WAITING") == first.index("3") + 1


def test_tasks_lists_one_state_and_show_tells_the_whole_story(ferryman: Shell) -> None:
    ferryman.start_worker()
    ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--id", "t1")
    ferryman.ok("enqueue", "emails", "send", '{"to": "b"}', "--id", "t2")
    ferryman.kill_task()
    assert [task["id"] for task in ferryman.json("tasks", "emails", "--state", "dead")] == ["t1"]
    assert [task["id"] for task in ferryman.json("tasks", "emails")] == ["t2"]
    assert "Boom: it broke" in ferryman.ok("tasks", "emails", "--state", "dead")
    story = ferryman.ok("show", "emails", "t1")
    assert story.startswith("t1  dead\n")
    assert '{"to": "a"}' in story
    assert "Boom: it broke\n  at line 1" in story


def test_show_prints_nothing_that_a_terminal_would_obey(ferryman: Shell) -> None:
    ferryman.start_worker()
    ferryman.ok("enqueue", "emails", "send", '{"to": "a\\u009b2Jb"}', "--id", "t1")
    [delivery] = ferryman.link.run(Broker("emails").fetch("w1", 1)).tasks
    error = "Boom: \x1b[31mred\x1b]0;title\x07\u202e\n\tat\x1b[2J line 1\r"
    ferryman.link.run(Broker("emails").dead_letter("w1", "t1", delivery.token, error=error))
    for words in (("show", "emails", "t1"), ("tasks", "emails", "--state", "dead")):
        said = ferryman.ok(*words)
        assert "Boom: �[31mred�]0;title��" in said
        assert [one for one in said if not one.isprintable() and one != "\n"] == []
    assert "    at�[2J line 1" in ferryman.ok("show", "emails", "t1")
    assert ferryman.json("show", "emails", "t1")["error"] == error  # a program gets it as it is


def test_show_lists_the_runs_that_failed(ferryman: Shell) -> None:
    ferryman.start_worker()
    ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--id", "t1")
    [first] = ferryman.link.run(Broker("emails").fetch("w1", 1)).tasks
    again = Broker("emails").retry("w1", "t1", first.token, delay_ms=0, error="TimeoutError: no answer", run_ms=2_345)
    ferryman.link.run(again)
    ferryman.link.run(Broker("emails").promote())
    ferryman.kill_task()
    ferryman.ok("revive", "emails", "t1")
    [third] = ferryman.link.run(Broker("emails").fetch("w1", 1)).tasks
    ferryman.link.run(Broker("emails").crash("w1", "t1", third.token, reason="its process got SIGSEGV"))

    table = ferryman.ok("show", "emails", "t1").split("\n\n")[1].splitlines()
    assert [" ".join(line.split()) for line in table] == [
        "ATTEMPT STARTED RAN OUTCOME WORKER ERROR",
        *(
            f"{run['attempt']} {run['started_at']} {ran} {run['outcome']} w1 {run['error']}"
            for run, ran in zip(ferryman.json("show", "emails", "t1")["history"], ("2.3s", "0ms", "?"), strict=True)
        ),
    ]
    history = [
        (run["attempt"], run["outcome"], run["run_s"]) for run in ferryman.json("show", "emails", "t1")["history"]
    ]
    assert history == [(1, "retried", 2.345), (2, "dead", 0.0), (1, "crashed", None)]


def test_show_of_what_is_not_known_fails(ferryman: Shell) -> None:
    result = ferryman("show", "emails", "nope")
    assert result.exit_code == 1
    assert "knows no task nope" in result.stderr


def test_revive_moves_the_named_or_all_dead_tasks(ferryman: Shell) -> None:
    ferryman.start_worker()
    for number in range(4):
        ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--id", f"t{number}")
        ferryman.kill_task()
    ferryman.ok("revive", "emails", "t1")
    assert (ferryman.stats().dead, ferryman.stats().waiting) == (3, 1)
    missing = ferryman("revive", "emails", "t1", "t2")
    assert missing.exit_code == 1
    assert "not dead in emails: t1" in missing.stderr
    assert ferryman.ok("revive", "emails", "--all") == "2 revived.\n"
    assert (ferryman.stats().dead, ferryman.stats().waiting) == (0, 4)
    assert ferryman("revive", "emails").exit_code == 2
    assert ferryman("revive", "emails", "t1", "--all").exit_code == 2


def test_cancel_discards_what_has_not_started_and_refuses_what_runs_in_a_thread(ferryman: Shell) -> None:
    ferryman.start_worker()
    ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--id", "running")
    ferryman.link.run(Broker("emails").fetch("w1", 1))
    ferryman.ok("enqueue", "emails", "send", '{"to": "a"}', "--id", "waiting")
    assert ferryman.ok("cancel", "emails", "waiting") == "waiting discarded.\n"
    for task_id, says in (("running", "is running in a thread"), ("waiting", "is not known")):
        refused = ferryman("cancel", "emails", task_id)
        assert refused.exit_code == 1
        assert says in refused.stderr
    assert (ferryman.stats().active, ferryman.stats().discarded) == (1, 1)


@pytest.mark.parametrize("word", ["purge", "reset"])
def test_purge_says_what_it_would_discard_and_does_it_only_with_yes(ferryman: Shell, word: str) -> None:
    ferryman.ok("enqueue", "emails", "send", "--count", "450")
    ferryman.ok("enqueue", "emails", "send", "--delay", "1h", "--count", "2")
    ferryman.ok("enqueue", "sms", "send")
    refused = ferryman(word, "emails")
    assert refused.exit_code == 1
    assert "would discard 0 blocked, 450 waiting, 2 delayed, 0 dead tasks of emails" in refused.stderr
    assert ferryman.stats().waiting == 450
    done = ferryman.json(word, "emails", "--yes")
    assert done == {"queue": "emails", "discarded": {"blocked": 0, "waiting": 450, "delayed": 2, "dead": 0}}
    assert (ferryman.stats().waiting, ferryman.stats().delayed, ferryman.stats().discarded) == (0, 0, 452)
    assert ferryman.json("stats", "sms")["waiting"] == 1


def test_purge_of_one_state_leaves_the_others(ferryman: Shell) -> None:
    ferryman.ok("enqueue", "emails", "send")
    ferryman.ok("enqueue", "emails", "send", "--delay", "1h")
    ferryman.ok("purge", "emails", "--state", "delayed", "--yes")
    assert (ferryman.stats().waiting, ferryman.stats().delayed) == (1, 0)


def test_purge_goes_on_over_a_front_of_cancelled_tasks(ferryman: Shell) -> None:
    ids = ferryman.ok("enqueue", "emails", "send", "--count", "300").splitlines()
    for task_id in ids[:260]:
        ferryman.link.run(Broker("emails").cancel(task_id))
    ferryman.ok("purge", "emails", "--yes")
    assert ferryman.stats().waiting == 0


def test_hold_stops_fetching_and_resume_lets_it_go_on(ferryman: Shell) -> None:
    ferryman.start_worker()
    ferryman.ok("enqueue", "emails", "send", '{"to": "a"}')
    ferryman.ok("hold", "emails")
    assert ferryman.link.run(Broker("emails").fetch("w1", 1)).reply == "held"
    ferryman.ok("resume", "emails")
    assert len(ferryman.link.run(Broker("emails").fetch("w1", 1)).tasks) == 1
