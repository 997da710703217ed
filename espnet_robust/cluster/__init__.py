"""Run the commands of a recipe as jobs of a cluster.

config.py     conf/cluster/*.yaml: where jobs go and what they are given
job.py        one command, on the node that runs it: its log, its outcome
executors.py  submission through submitit, to Slurm or to processes of this machine
running.py    a list of jobs to its end: earlier ones waited for, failed ones tried again
records.py    commands as a recipe's shell hands them over
nodes.py      several nodes of one job
"""
