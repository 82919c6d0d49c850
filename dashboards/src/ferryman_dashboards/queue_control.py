"""The control panel of the queue's dashboard: what its buttons send, and what they ask before."""

from grafana_foundation_sdk.builders import dashboard, table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, ValueMap, ValueMappingResult

from ferryman_dashboards.buttons import API_URL, Button, Cell, button_table, text_variable
from ferryman_dashboards.queue_metrics import gauge, tasks_in

#: Grafana makes the text's colour from these, and reads no names.
_GO, _CARE, _STOP = "#1a7f4b", "#b35900", "#c4162a"

_TASK = '"queue": "${queue}", "task": "${sample_task}", "args": ${sample_args}'

ADD_WORK = [
    Button(
        "Add 5 tasks",
        "/tasks",
        "Add five tasks ${sample_task} with the arguments ${sample_args} to the queue ${queue}?",
        "{" + _TASK + ', "count": 5}',
        _GO,
    ),
    Button(
        "Add delayed task (10 s)",
        "/tasks",
        "Add one task ${sample_task} with the arguments ${sample_args} to the queue ${queue}, to run in 10 seconds?",
        "{" + _TASK + ', "delay": "10s"}',
        _GO,
    ),
    Button(
        "Crash a worker",
        "/tasks",
        "A simulation: add the task crash_once, which kills the worker of ${queue} that takes it, with all that it "
        "runs. Nothing is lost: watch Recovered. The app must have that task, as the quickstart's has. Do it?",
        '{"queue": "${queue}", "task": "crash_once"}',
        _CARE,
    ),
]
HOLD_OR_RESUME = [
    Button("Hold", "/queues/${queue}/hold", "Hold ${queue}? Workers finish what they have and take nothing new."),
    Button("Resume", "/queues/${queue}/resume", "Resume ${queue}? Its workers take tasks again."),
]
CLEAN_UP = [
    Button(
        "Revive dead",
        "/queues/${queue}/revive",
        "Put all ${__data.fields.Dead} dead tasks of ${queue} back to waiting? Repair first what killed them.",
    ),
    Button(
        "Reset queue",
        "/queues/${queue}/reset",
        "Reset ${queue}: this deletes its tasks that are waiting (${__data.fields.Waiting} now), scheduled "
        "(${__data.fields.Scheduled}) or dead (${__data.fields.Dead}), for good. Tasks that run finish, counts stay, "
        "and other queues are not touched. Delete them?",
        '{"confirm": "${queue}"}',
        _STOP,
    ),
]

_GIVES_OUT = [
    DynamicConfigValue(
        id_val="mappings",
        value=[
            ValueMap(
                options={
                    "0": ValueMappingResult(text="gives out tasks", color="green", index=0),
                    "1": ValueMappingResult(text="on hold", color="orange", index=1),
                }
            )
        ],
    ),
    DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
]


def add_variables(board: dashboard.Dashboard) -> None:
    """Where the buttons send their requests, with which token, and what "Add" adds."""
    whose = "A token of the API. It is kept in this page only: not in its address, and gone when you reload it."
    board.with_variable(text_variable("api_url", "API", "Where this browser reaches Ferryman's API.", API_URL))
    board.with_variable(text_variable("token", "Token", whose, secret=True))
    board.with_variable(text_variable("sample_task", "Sample task", "What “Add” adds: a task of this queue.", "echo"))
    arguments = "The sample task's arguments, as JSON."
    board.with_variable(text_variable("sample_args", "Its arguments", arguments, '{"value": "hello"}'))


def control_panel() -> table.Panel:
    """One row of buttons, beside the figures that they change."""
    hold = gauge("ferryman_queue_hold")
    # Buttons are there also while nobody exports the queue's figures.
    always = f"{hold} or vector(0)"
    return button_table(
        "Control panel",
        "Each button asks before it calls the API, with the address and the token at the top of the page. "
        "Adding needs a token with the scope enqueue, all others admin. docs/dashboards.md says how to set it up.",
        [
            Cell("Queue", hold, look=_GIVES_OUT, width=140),
            Cell("Waiting", tasks_in("waiting"), width=90),
            Cell("Scheduled", tasks_in("delayed"), width=100),
            Cell("Dead", tasks_in("dead"), width=80),
            Cell("Add work", always, ADD_WORK),
            Cell("Hold or resume", always, HOLD_OR_RESUME, width=190),
            Cell("Clean up", always, CLEAN_UP, width=240),
        ],
    )
