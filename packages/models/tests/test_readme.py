import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(run_folder, capsys):
    code = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert "runs/demo" in code
    exec(code.replace("runs/demo", str(run_folder)), {})
    printed = capsys.readouterr().out
    assert "('AAPL', 'MSFT')" in printed
    assert "q950" in printed
