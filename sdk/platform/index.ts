/** What the rest of the SDK may know of its runtime. */
export { packageEntry, packageFile, packageVersion } from "./assets.ts";
export {
  findProgram,
  type RunningProgram,
  runCode,
  runProgram,
  runSelf,
  startProgram,
  type TimedRun,
} from "./child.ts";
export {
  type GrowingFile,
  type Hasher,
  hasher,
  homeFolder,
  linkFile,
  moveFile,
  openGrowing,
} from "./downloads.ts";
export { type LocalServer, serveLocally } from "./file_server.ts";
export {
  appendLine,
  exists,
  type FileData,
  fileKind,
  fileSize,
  listFolder,
  makeFolder,
  makeTemporaryFolder,
  type OpenFile,
  openFile,
  readFile,
  readText,
  realPath,
  remove,
  writeFileAtomic,
} from "./files.ts";
export { sha256 } from "./hash.ts";
export { type HttpListener, type HttpOptions, serveOnDeno } from "./http.ts";
export { launcher, quoteArgument } from "./launcher.ts";
export { holdLock, type LockHolder, tryLock } from "./locks.ts";
export { importModule } from "./modules.ts";
export { PAGE_BYTES, Pages, type Ranged } from "./pages.ts";
export { basename, dirname, joinPath, resolvePath, shortPath } from "./paths.ts";
export {
  argv,
  cpu,
  cpuTime,
  env,
  exitNow,
  isAdministrator,
  isTty,
  memory,
  onHangup,
  onInterrupt,
  pageUrl,
  peakResident,
  type Runtime,
  readLines,
  readStdin,
  reserveStdout,
  runtime,
  runtimeName,
  type Stream,
  setExitCode,
  systemName,
  write,
} from "./process.ts";
export { randomSeed } from "./random.ts";
export { RangeReader } from "./range_reader.ts";
export { has_system } from "./system.ts";
export { isTerminal, openTerminal, type Terminal } from "./terminal.ts";
export { every } from "./timers.ts";
export { unlessStuck } from "./unsettled.ts";
