#!/bin/sh
# Converts in {{.Tasks}} tasks, and joins what they have made. Read it, add what your site asks for, and
#
#   sh THIS-FILE            submits all of it
#   sh THIS-FILE again 3,7  submits tasks 3 and 7 once more, and what joins all
#
# Tasks that are requeued go on with what is not done. mha2mla finalize --dry-run says what is missing.
#SBATCH --job-name=mha2mla
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --cpus-per-task={{.Processors}}
set -eu
program={{.Program}}
out={{.Out}}

# submit prints the number of a job. A job whose predecessor has failed does not wait for ever.
submit() { sbatch --parsable --kill-on-invalid-dep=yes "$@"; }

# The program takes the place of the shell, so that signals reach it.
case "${1:-all}" in
search) exec "$program" part search --jobs "$SLURM_CPUS_PER_TASK" "$out" ;;
convert) exec "$program" part convert --jobs "$SLURM_CPUS_PER_TASK" "$SLURM_ARRAY_TASK_ID/{{.Tasks}}" "$out" ;;
finalize) exec "$program" finalize --jobs "$SLURM_CPUS_PER_TASK" "$out" ;;
all)
	search=$(submit "$0" search)
	convert=$(submit --dependency="afterok:$search" --array="0-{{.Last}}" "$0" convert)
	;;
again) convert=$(submit --array="${2:?name the tasks, as in 3,7}" "$0" convert) ;;
esac
submit --dependency="afterany:$convert" "$0" finalize
