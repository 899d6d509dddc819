import type { Device, DeviceModel } from "../models/index.ts";

/**
 * A device for one model: disposing of it frees the model, and `device` stays for the next.
 *
 * @param on_load called with the model once it is loaded
 */
export function shareOf<Model extends DeviceModel>(
  device: Omit<Device, "load"> & { load(...of: Parameters<Device["load"]>): Promise<Model> },
  on_load: (model: Model) => void = () => {},
): Device {
  const models: Model[] = [];
  const { kind, description, dtypes } = device;
  return {
    kind,
    description,
    dtypes,
    async load(...of) {
      const model = await device.load(...of);
      models.push(model);
      on_load(model);
      return model;
    },
    async dispose() {
      for (const model of models) await model.dispose();
    },
  };
}
