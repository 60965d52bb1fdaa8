/*
 * An object with a reference count, published in a slot: N readers look it up, take a reference, use it and put it;
 * the owner unpublishes it and puts its own reference. Whoever puts the last one frees it.
 * BROKEN: the reference is taken after the slot's lock has been dropped.
 */
#ifndef N
#define N 3
#endif
bit held;
bit slot = 1;
byte refs = 1;
bit freed;

inline put() {
  atomic { refs--; last = (refs == 0) }
  if
  :: last -> atomic { assert(!freed); freed = 1 }
  :: else
  fi
}

active [N] proctype reader() {
  bit found, last;
  atomic { held == 0 -> held = 1 }
  found = slot;
#ifdef BROKEN
  held = 0;
#endif
  if
  :: found -> atomic { assert(!freed); refs++ }
  :: else
  fi;
#ifndef BROKEN
  held = 0;
#endif
  if
  :: found -> assert(!freed); put()
  :: else
  fi
}

active proctype owner() {
  bit last;
  atomic { held == 0 -> held = 1 }
  slot = 0;
  held = 0;
  put()
}
