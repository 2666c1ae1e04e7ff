#!/bin/bash
# Train on several nodes of a SLURM cluster, one process a GPU:
#
#   sbatch --account=MY_ACCOUNT --partition=MY_PARTITION experiments/clusters/slurm.sh \
#       --config experiments/pretrain_compress.yaml --trainer.strategy fsdp2
#
# Other numbers of nodes and GPUs: --nodes=8 --ntasks-per-node=4 --gres=gpu:4, before the script's name.
# A job that is preempted is queued again and goes on from its last checkpoint; so does one that is sent off again with
# the name of its run: LLM2COMP_RUN=slurm-1234 sbatch ...
#SBATCH --job-name=llm2comp
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=8
#SBATCH --mem=0
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=llm2comp-%j.log

set -euo pipefail
# The environment of the project: fill in what your cluster calls it.
source "${LLM2COMP_VENV:-.venv}/bin/activate"

# Every process takes the run's name from here; a job that is queued again keeps its number.
export LLM2COMP_RUN="${LLM2COMP_RUN:-slurm-$SLURM_JOB_ID}"
# Compute nodes seldom reach the hub: fetch models and data on the login node, with the same HF_HOME.
export HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}"
export OMP_NUM_THREADS="$SLURM_CPUS_PER_TASK"

root=lightning_logs
resume=()
if compgen -G "$root/*/$LLM2COMP_RUN/checkpoints/last.ckpt" > /dev/null; then
    resume=(--ckpt_path last)
fi

# When one process fails, srun ends all the others.
srun --kill-on-bad-exit=1 llm2comp fit "$@" \
    --root "$root" --run "$LLM2COMP_RUN" "${resume[@]}" \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE"
