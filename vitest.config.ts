import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    exclude: ["dist/**", "node_modules/**"],
    // Searches run here: long for a unit test, and never measured.
    testTimeout: 60_000,
  },
});
