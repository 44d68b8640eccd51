"""Batch scripts: their text, what may not get into one, and what the commands say without a Slurm."""

from __future__ import annotations

import json
import re
import shlex
import stat
import sys

import pytest
from click.testing import CliRunner

from marketgpt_core.cli import main
from marketgpt_core.errors import ConfigError
from marketgpt_training.slurm import submission
from marketgpt_training.slurm.cli import slurm
from marketgpt_training.slurm.job import Job, shipped_scripts

# As it stands in slurm/, but for the two long lines that every script has.
FULL = """\
#!/bin/bash
# Train the preset full-market (600 symbols, 85 million parameters) on two A100s of each node.
#   sbatch [--nodes=N ...] slurm/train_full_a100.sh [key.sub=value ...]
# Arguments are handed on to marketgpt train: key.sub=value, --source, run_dir=DIR, --no-evaluate.
#SBATCH --job-name=full
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --gpus-per-node=a100:2
#SBATCH --cpus-per-task=8
#SBATCH --mem=256G
#SBATCH --time=2-00:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
set -euo pipefail

# A rank for each task, started by marketgpt itself.
run_and_requeue marketgpt train --preset full-market --resume "$@" "run_dir=$(run_folder)"
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["slurm", *arguments])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Programs that answer as Slurm's do; what sbatch got is kept."""
    programs = tmp_path / "bin"
    programs.mkdir()
    asked = tmp_path / "sbatch.txt"
    found = '"home=$MARKETGPT_HOME" "venv=$MARKETGPT_VENV"'
    answers = {
        "sinfo": 'printf "low\\ngpu*\\nhigh\\ngpu*\\n"',
        "sbatch": f'printf "%s\\n" "$@" {found} >{asked}; echo "42;lab"',
    }
    for name, answer in answers.items():
        (programs / name).write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name in ("MARKETGPT_RUNS", "MARKETGPT_VENV"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def no_cluster(monkeypatch):
    monkeypatch.setattr(submission.shutil, "which", lambda name: None)


def test_the_script_of_the_full_market_is_this():
    script = shipped_scripts()["train_full_a100.sh"]
    assert re.sub(r"(?s)home=.*?\n\n", "", script) == FULL
    assert 'source "$home/slurm/env.sh" ||' in script


def test_a_dry_run_prints_the_shipped_script_with_what_was_asked_for_and_writes_nothing(
    run, no_cluster, tmp_path
):
    code, out, err = run(
        "submit", "full-market", "--nodes", "4", "--gpus", "8", "--gpu-type", "", "--partition", "gpu,big",
        "--account", "p_42", "--qos", "long", "--constraint", "a100&ib", "--mail", "a.b@c.org",
        "--time", "60", "--no-evaluate", "--source", "parquet:/data/my candles", "--dry-run", "optim.lr=1e-3",
    )  # fmt: skip
    assert (code, err) == (0, "")
    changed = set(out.splitlines()) - set(shipped_scripts()["train_full_a100.sh"].splitlines())
    command = (
        "run_and_requeue marketgpt train --preset full-market --resume --source 'parquet:/data/my candles' "
        '--no-evaluate optim.lr=1e-3 "$@" "run_dir=$(run_folder)"'
    )
    assert changed == {
        command,
        "# Train the preset full-market. Written by marketgpt slurm submit.",
        "#   sbatch this file, from the folder that holds slurm/",
        "#SBATCH --partition=gpu,big",
        "#SBATCH --account=p_42",
        "#SBATCH --qos=long",
        "#SBATCH --constraint=a100&ib",
        "#SBATCH --nodes=4",
        "#SBATCH --ntasks-per-node=8",
        "#SBATCH --gpus-per-node=8",
        "#SBATCH --time=60",
        "#SBATCH --mail-user=a.b@c.org",
        "#SBATCH --mail-type=END,FAIL,REQUEUE",
    }
    assert list(tmp_path.iterdir()) == []


def test_without_gpus_there_is_one_rank_a_node(run, no_cluster):
    _, out, _ = run("submit", "demo", "--nodes", "2", "--gpus", "0", "--dry-run")
    assert "#SBATCH --ntasks-per-node=1\n" in out
    assert "gpus" not in out


def test_a_dry_run_in_json(run, no_cluster):
    code, out, _ = run("submit", "demo", "--dry-run", "--json", "seed=3")
    said = json.loads(out)
    assert code == 0
    assert said["submitted"] is False
    assert said["job"]["overrides"] == ["seed=3"]
    assert said["script"].startswith("#!/bin/bash\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--partition", "gpu\n#SBATCH --uid=0"),
        ("--partition", "gpu; rm -rf /"),
        ("--account", "$(id)"),
        ("--account", "a b"),
        ("--qos", "`id`"),
        ("--constraint", "a100 --uid=0"),
        ("--time", "1:00:00\n"),
        ("--time", "soon"),
        ("--memory", "lots"),
        ("--mail", "me@home.org\n#SBATCH -n 9"),
        ("--name", "../../etc"),
        ("--gpu-type", "a100:2 "),
        ("--name", "n\u00fcrnberg"),
    ],
)
def test_what_could_be_more_than_a_value_is_refused(run, no_cluster, tmp_path, option, value):
    code, out, err = run("submit", "demo", option, value, "--dry-run")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {option} {value!r}: allowed are ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dmo",), "unknown preset 'dmo'; did you mean 'demo'?"),
        (("demo\n#SBATCH --uid=0",), "'demo\\n#SBATCH --uid=0'"),
        (("demo", "loop.max_epoch=3"), "did you mean 'max_epochs'?"),
        (("demo", "--nodes", "3"), "loop.batch_size 8 is not a multiple of 3 processes"),
        (("demo", "--nodes", "0"), "--nodes"),
        (("demo", "run_dir=a\nb"), "an override is one line of printable characters"),
    ],
)
def test_mistakes_are_one_line_before_anything_waits_in_a_queue(run, no_cluster, tmp_path, arguments, said):
    code, out, err = run("submit", *arguments, "--dry-run")
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("override", ["run_dir=$(touch hacked)", "run_dir=a'b;c", "run_dir=`id` && x"])
def test_overrides_reach_the_command_as_they_were_typed(override):
    script = Job(preset="demo", name="demo", overrides=(override,)).script(about="a", usage="b")
    line = script.splitlines()[-1]
    assert shlex.split(line)[6] == override


def test_a_name_in_python_is_checked_like_one_typed():
    with pytest.raises(ConfigError, match="--name 'a b': allowed are letters"):
        Job(preset="demo", name="a b")


def test_without_slurm_it_says_so_and_writes_nothing(run, no_cluster, tmp_path):
    code, out, err = run("submit", "demo")
    assert (code, out) == (2, "")
    assert err == (
        "error: no sbatch on the path: no login node of a Slurm cluster (--dry-run shows the script)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_submitting_says_what_was_done(run, cluster):
    code, out, err = run("submit", "demo", "--partition", "high", "loop.max_steps=5")
    assert (code, err) == (0, "")
    (script,) = (cluster / "slurm-jobs").iterdir()
    assert script.read_text(encoding="utf-8").endswith('loop.max_steps=5 "$@" "run_dir=$(run_folder)"\n')
    assert script.stat().st_mode & stat.S_IXUSR
    assert (cluster / "sbatch.txt").read_text(encoding="utf-8").splitlines() == [
        "--parsable", f"--chdir={cluster}", str(script), f"home={cluster}", f"venv={sys.prefix}",
    ]  # fmt: skip
    log, trained = f"{cluster}/demo-42.out", f"{cluster}/runs/demo-42"
    assert out.splitlines() == [
        f"wrote   {cluster}/slurm/env.sh: yours to change",
        f"wrote   {cluster}/slurm/requeue.sh: yours to change",
        f"script  {script}",
        "job     42",
        f"log     {log}",
        f"run     {trained}",
        f"watch   squeue --jobs 42; tail -f {log}; marketgpt train status {trained}",
        "cancel  scancel 42",
    ]


def test_an_env_of_ones_own_is_kept(run, cluster):
    (cluster / "slurm").mkdir()
    (cluster / "slurm" / "env.sh").write_text("# mine\n", encoding="utf-8")
    code, out, _ = run("submit", "demo", "--json", "run_dir=here")
    said = json.loads(out)
    assert code == 0
    assert said["added"] == [f"{cluster}/slurm/requeue.sh"]
    assert said["run_dir"] == "here"
    assert (cluster / "slurm" / "env.sh").read_text(encoding="utf-8") == "# mine\n"


def test_an_unknown_partition_is_refused_with_those_there_are(run, cluster):
    code, out, err = run("submit", "demo", "--partition", "gpu,hihg")
    assert (code, out) == (2, "")
    assert err == "error: unknown partition 'hihg'; did you mean 'high'? known: gpu, high, low\n"
    assert not (cluster / "slurm-jobs").exists()


def test_what_sbatch_says_is_passed_on(run, cluster):
    (cluster / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: Batch job submission failed:\n Invalid account' >&2\nexit 1\n",
        encoding="utf-8",
    )
    assert run("submit", "demo")[::2] == (
        2, "error: sbatch refuses: Batch job submission failed: Invalid account\n",
    )  # fmt: skip


def test_the_launcher_asks_shows_and_submits(cluster, monkeypatch):
    monkeypatch.chdir(cluster)
    answers = "demo\n2\n1\n-\nhigh\n30:00\ny\n"
    done = CliRunner().invoke(slurm, ["launch", "seed=3"], input=answers, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (script,) = (cluster / "slurm-jobs").iterdir()
    text = script.read_text(encoding="utf-8")
    assert text in done.output
    assert "partition (gpu, low, high) [gpu]" in done.output
    for line in ("--nodes=2", "--gpus-per-node=1", "--partition=high", "--time=30:00"):
        assert f"#SBATCH {line}\n" in text
    assert "--preset demo --resume seed=3" in text
    assert "cancel  scancel 42" in done.output


def test_the_launcher_submits_nothing_when_told_no(cluster, monkeypatch):
    monkeypatch.chdir(cluster)
    done = CliRunner().invoke(slurm, ["launch"], input="demo\n\n\n\n\n\nn\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "submit it?" in done.output
    assert not (cluster / "slurm-jobs").exists()


def test_the_scripts_are_written_once_and_replaced_when_asked(run, tmp_path):
    assert run("scripts")[0] == 0
    assert {path.name for path in (tmp_path / "slurm").iterdir()} == set(shipped_scripts())
    (tmp_path / "slurm" / "env.sh").write_text("# mine\n", encoding="utf-8")
    assert run("scripts")[1] == "slurm has them all\n"
    assert json.loads(run("scripts", "--replace", "--json")[1]) == ["slurm/env.sh"]
