/** What a read-modify-write makes of the value it read. */
import type { Memory } from "./memory.ts";
import { ADD, CLEAR_BITS, SET_BITS } from "./op.ts";
import { SIGNED } from "./struct.ts";

function combined(old: number, mode: number, value: number): number {
  switch (mode) {
    case SET_BITS:
      return old | value;
    case CLEAR_BITS:
      return old & ~value;
    case ADD:
      return old + value;
    default:
      return value;
  }
}

/**
 * What memory holds of a field after a change: for a bit-field, all of its byte; else wrapped as its type wraps.
 *
 * @param old - What memory holds of it before.
 * @param size - Of the field in bytes; `code`, `shift` and `mask` are those of its layout.
 * @param mode - `SET_BITS` and so on.
 */
export function updated(
  memory: Memory,
  old: number,
  size: number,
  code: number,
  shift: number,
  mask: number,
  mode: number,
  value: number,
): number {
  if (mask !== 0) {
    const made = combined((old >> shift) & mask, mode, value);
    return (old & ~(mask << shift)) | ((made & mask) << shift);
  }
  if (size === 8 && (mode === SET_BITS || mode === CLEAR_BITS)) {
    return memory.withBits(old, code, value, mode === SET_BITS);
  }
  const made = combined(old, mode, value);
  if (size === 8) return made;
  if (size === 4) return code === SIGNED ? made | 0 : made >>> 0;
  return made & (size === 1 ? 0xff : 0xffff);
}
