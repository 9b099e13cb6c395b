#!/bin/sh
# A job of the prover: it says that it starts and how it ends, in a file of its own, and works in between.
# usage: job.sh ALONE SHARED WORK [AMOUNT], in the stage's folder
# ALONE and SHARED are flocks that no two runs may hold at once ("-": none; NAME:2 has two places). They are held by
# descriptors that every process of the run inherits: so they are free when the last of these is dead, and not before.
said="said/$RUNJOBS_JOB"
alone=$1 shared=$2 work=$3 amount=$4
busy=

if [ "$alone" != - ]; then
	exec 9>>"held/$alone"
	flock -n 9 || busy="$busy $alone"
fi
case $shared in
-) ;;
*:*)
	taken=
	for place in $(seq "${shared#*:}"); do
		exec 8>>"held/${shared%:*}.$place"
		flock -n 8 && taken=yes && break
	done
	[ -n "$taken" ] || busy="$busy $shared"
	;;
*)
	exec 8>>"held/$shared"
	flock -n 8 || busy="$busy $shared"
	;;
esac

# one short write(2) of O_APPEND: lines of several jobs don't mix
echo "start $RUNJOBS_RUN_ID $RUNJOBS_SCHEDULED_AT $RUNJOBS_ATTEMPT $$$busy" >>"$said"

finish() {
	echo "end $RUNJOBS_RUN_ID $1" >>"$said"
	exit "$1"
}

grow() {
	if [ "$1" -gt 0 ]; then
		grow $(($1 - 1)) &
		grow $(($1 - 1)) &
		wait
	else
		sleep 0.4
	fi
}

case $work in
nap) # and then any exit code of four
	sleep "$amount"
	finish $(($$ % 4))
	;;
ok)
	sleep "$amount"
	finish 0
	;;
fail) finish "$amount" ;;
third) # fails until it is tried the third time
	finish $((RUNJOBS_ATTEMPT < 3 ? 5 : 0))
	;;
talk)
	head -c "$amount" /dev/zero | tr '\0' '\n'
	finish 0
	;;
daemon) # a double fork into a session of its own, which outlives the job and holds none of its locks
	sleep 0.2
	(setsid sleep "$amount" 8>&- 9>&- </dev/null >/dev/null 2>&1 &)
	finish 0
	;;
tree)
	grow "$amount"
	finish 0
	;;
deaf) # TERM is nothing to it, nor to what has escaped from it
	trap '' TERM
	(setsid sh -c 'while :; do sleep 1; done' &)
	while :; do sleep 0.5; done
	;;
flee) # runs into its timeout with a tree that is spread over sessions
	for _ in 1 2 3; do (setsid sh -c 'sleep 60 & sleep 60' &) done
	sleep 60
	;;
esac
finish 99
