/*
 * The core of attach and detach, struct utrace behind a pointer: N tracers each attach to the target, ask it to stop,
 * and detach; the last one to leave clears the pointer and frees the struct. The target looks at its struct at its
 * report, stops, and when it is woken looks at it again.
 * BROKEN: it looks at the struct it had before, as posted; else it reads the pointer again under the task lock.
 */
#ifndef N
#define N 2
#endif
#define STRUCTS (N + 1)
byte utrace;           /* number of the struct that the task points to, 0 for none */
byte next = 1;         /* struct that the next first attach gets */
bit freed[STRUCTS];
bit stopped[STRUCTS];
byte engines[STRUCTS];
bit lock[STRUCTS];
bit taskLock;
bit sleeping;
bit over;

active [N] proctype tracer() {
  byte u;
  atomic { taskLock == 0 -> taskLock = 1 }
  u = utrace;
  if
  :: u == 0 -> atomic { u = next; next++; engines[u] = 1 } utrace = u
  :: else -> engines[u] = engines[u] + 1
  fi;
  taskLock = 0;
  atomic { taskLock == 0 -> taskLock = 1 }
  engines[u] = engines[u] - 1;
  if
  :: engines[u] == 0 ->
     atomic { lock[u] == 0 -> lock[u] = 1 }
     if
     :: stopped[u] -> stopped[u] = 0; sleeping = 0
     :: else
     fi;
     utrace = 0;
     lock[u] = 0;
     freed[u] = 1
  :: else
  fi;
  taskLock = 0
}

active proctype target() {
  byte u;
  atomic { taskLock == 0 -> taskLock = 1 }
  u = utrace;
  if
  :: u != 0 ->
     atomic { lock[u] == 0 -> lock[u] = 1 }
     stopped[u] = 1;
     sleeping = 1;
     lock[u] = 0;
     taskLock = 0;
     sleeping == 0;
#ifdef BROKEN
     assert(!freed[u])
#else
     atomic { taskLock == 0 -> taskLock = 1 }
     u = utrace;
     if
     :: u != 0 -> assert(!freed[u])
     :: else
     fi;
     taskLock = 0
#endif
  :: else -> taskLock = 0
  fi;
  over = 1
}
