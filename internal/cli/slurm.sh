#!/bin/sh
# Converts in {{.Tasks}} tasks, and joins what they have made. Read it, add what your site asks for, and
#
#   sh THIS-FILE                         submits all stages
#   sh THIS-FILE convert --array=3,7     submits tasks 3 and 7 of a stage once more, and what follows it
#   sh THIS-FILE $(mha2mla finalize --dry-run OUT)    submits what is missing
#
# Tasks that are requeued go on with what is not done.
#SBATCH --job-name=mha2mla
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --cpus-per-task={{.Processors}}
set -eu
program={{.Program}}
out={{.Out}}

# A job runs one stage. The program takes the place of the shell, so that signals reach it.
if [ "${1:-}" = run ]; then
	case "$2" in
	finalize) exec "$program" finalize --jobs "$SLURM_CPUS_PER_TASK" "$out" ;;
	calibrate | convert) exec "$program" part "$2" --jobs "$SLURM_CPUS_PER_TASK" "$SLURM_ARRAY_TASK_ID/{{.Tasks}}" "$out" ;;
	*) exec "$program" part "$2" --jobs "$SLURM_CPUS_PER_TASK" "$out" ;;
	esac
fi

# stage submits a stage, which begins when the one before it has ended. Those before the first that
# is asked for are left out. A job whose predecessor has failed does not wait for ever.
stage() {
	name=$1 tasks=${2:-}
	if [ -z "$last" ]; then
		[ "$name" = "$first" ] || return 0
		tasks=${again:-$tasks}
	fi
	last=$(sbatch --parsable --kill-on-invalid-dep=yes ${last:+"--dependency=$after:$last"} $tasks "$0" run "$name")
	echo "$name: job $last"
}

first=${1:-{{index .Stages 0}}} again=${2:-} last= after=afterok
{{- range .Stages}}
{{if eq . "finalize"}}after=afterany # it says what is missing
{{end}}stage {{.}}{{if .Shared}} --array=0-{{$.Last}}{{end}}
{{- end}}
