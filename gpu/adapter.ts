import { CapstanError } from "../models/errors.ts";

/** What an adapter is and offers, for people and for choosing kernels. */
export interface AdapterReport {
  /** "NVIDIA H200", "llvmpipe (LLVM 15.0.6, 256 bits)": the best name the runtime gives. */
  name: string;
  /** Runs on the CPU (lavapipe, SwiftShader, WARP): correct, not fast. */
  software: boolean;
  /** Whether kernels are chosen for it as for a real GPU: tiles through workgroup memory, which software is slow at. */
  tiles: boolean;
  /** Features of ours that it has. */
  features: { f16: boolean; subgroups: boolean; timestamps: boolean };
  /** Smallest subgroup, in threads; 0 without subgroups. */
  subgroup_size: number;
  limits: GpuLimits;
}

/** The limits that decide how work is cut. */
export interface GpuLimits {
  /** Bytes of one storage binding. */
  binding_bytes: number;
  buffer_bytes: number;
  /** Bytes of workgroup memory. */
  workgroup_bytes: number;
  /** Threads in a workgroup. */
  workgroup_size: number;
  /** Workgroups along one dimension of a dispatch. */
  workgroups: number;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render|warp\b/i;

/** Limits that are raised as far as the adapter goes. */
const RAISED = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

export interface OpenOptions {
  /** Ask for nothing beyond WebGPU's defaults: no larger limits, no optional features. */
  defaults_only?: boolean;
  /** Choose kernels as for a real GPU even on a software adapter: slower there, and what tests should run. */
  as_hardware?: boolean;
  /** Use no more than this of a limit, as on a smaller adapter. */
  at_most?: Partial<GpuLimits>;
  power?: GPUPowerPreference;
}

/** An adapter of the runtime, described. @throws CapstanError `unsupported` when there is none */
export async function findAdapter(
  gpu: GPU,
  { power = "high-performance" }: OpenOptions = {},
): Promise<{ adapter: GPUAdapter; report: AdapterReport }> {
  const adapter = await gpu.requestAdapter({ powerPreference: power }).catch(() => null);
  if (adapter === null) {
    throw new CapstanError("unsupported", {
      action: "open a WebGPU device",
      need: "an adapter",
      found: "none",
      fix: "A GPU driver with Vulkan, Metal or Direct3D 12 is needed; device wasm runs everywhere.",
    });
  }
  return { adapter, report: describe(adapter, adapter.limits, adapter.features) };
}

/** A device with the largest limits and the features that kernels use. */
export async function openDevice(
  adapter: GPUAdapter,
  { defaults_only = false, as_hardware = false, at_most = {} }: OpenOptions = {},
): Promise<{ device: GPUDevice; report: AdapterReport }> {
  const wanted = ["shader-f16", "subgroups", "timestamp-query"] as const;
  const requiredFeatures = defaults_only ? [] : wanted.filter((name) => adapter.features.has(name));
  const requiredLimits: Record<string, number> = {};
  if (!defaults_only) for (const name of RAISED) requiredLimits[name] = adapter.limits[name];
  try {
    const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    const report = describe(adapter, device.limits, device.features);
    report.tiles ||= as_hardware;
    for (const [name, most] of Object.entries(at_most) as [keyof GpuLimits, number][]) {
      report.limits[name] = Math.min(report.limits[name], most);
    }
    return { device, report };
  } catch (cause) {
    throw new CapstanError(
      "unsupported",
      { action: "open a WebGPU device", need: "a device of the adapter", found: String(cause) },
      { cause },
    );
  }
}

function describe(
  adapter: GPUAdapter,
  limits: GPUSupportedLimits,
  features: { has(name: string): boolean },
): AdapterReport {
  const info: Partial<GPUAdapterInfo> & { isFallbackAdapter?: boolean } = adapter.info ?? {};
  const name = info.description || info.device || [info.vendor, info.architecture].filter(Boolean).join(" ");
  const text = [info.vendor, info.architecture, info.device, info.description].join(" ");
  const software = info.isFallbackAdapter === true || SOFTWARE.test(text);
  return {
    name: name || "unnamed adapter",
    software,
    tiles: !software,
    features: {
      f16: features.has("shader-f16"),
      subgroups: features.has("subgroups"),
      timestamps: features.has("timestamp-query"),
    },
    subgroup_size: features.has("subgroups") ? (info.subgroupMinSize ?? 0) : 0,
    limits: {
      binding_bytes: Math.min(limits.maxStorageBufferBindingSize, 2 ** 32 - 256),
      buffer_bytes: limits.maxBufferSize,
      workgroup_bytes: limits.maxComputeWorkgroupStorageSize,
      workgroup_size: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      workgroups: limits.maxComputeWorkgroupsPerDimension,
    },
  };
}
