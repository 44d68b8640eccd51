"""Slurm: ranks started by ``srun`` inside a job, batch scripts written and submitted from outside one."""
