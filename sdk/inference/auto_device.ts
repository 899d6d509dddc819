import { CapstanError, type Device, type DeviceModel } from "../../models/index.ts";

/**
 * What `auto` chose, for the models that it runs, and another device for those it does not. Its kind and description
 * are those of the device that took the model.
 */
export class AutoDevice implements Device {
  #device: Device;
  #why: string;
  readonly #open_other: () => Promise<Device>;

  constructor(device: Device, why: string, openOther: () => Promise<Device>) {
    this.#device = device;
    this.#why = why;
    this.#open_other = openOther;
  }

  get kind(): Device["kind"] {
    return this.#device.kind;
  }

  get description(): string {
    return `${this.#device.description} (auto: ${this.#why})`;
  }

  get dtypes(): Device["dtypes"] {
    return this.#device.dtypes;
  }

  get blocks_thread(): boolean {
    return this.#device.blocks_thread === true;
  }

  async load(...of: Parameters<Device["load"]>): Promise<DeviceModel> {
    try {
      return await this.#device.load(...of);
    } catch (error) {
      if (!(error instanceof CapstanError && error.code === "unsupported")) throw error;
      const other = await this.#open_other();
      if (other.kind === this.kind) throw error;
      await this.#device.dispose();
      this.#device = other;
      this.#why = error.message;
      return await this.#device.load(...of);
    }
  }

  dispose(): Promise<void> {
    return this.#device.dispose();
  }
}
