/** `cloister devices …` on the command line. */
import type { Change, DevicesOptions } from "./commands/devices.ts";
import type { InviteOptions } from "./commands/nodes.ts";
import { Option } from "commander";
import { duration } from "./options.ts";
import type { Shell } from "./shell.ts";

interface TokenOptions extends DevicesOptions {
  readonly device: string;
  readonly role: string;
  /** `false` is `--no-scopes`. */
  readonly scope?: readonly string[];
  readonly scopes?: boolean;
}

export function addDevices({ program, context, exit }: Shell): void {
  const devices = program.command("devices").description("clients that prove a key: who waits, who is approved");
  const change = async (wanted: Change, options: DevicesOptions): Promise<void> => {
    const { runDevicesChange } = await import("./commands/devices.ts");
    exit(await runDevicesChange(context(), wanted, options));
  };
  devices
    .command("doctor")
    .description("versions, auth, devices and what was refused, safe to paste; the same as `doctor --pairing`")
    .option("--json", "print JSON")
    .action(async (options: DevicesOptions) => {
      const { runPairingReport } = await import("./commands/pairing-report.ts");
      exit(await runPairingReport(context(), options));
    });
  devices
    .command("list", { isDefault: true })
    .description("list who waits for an approval and who has one (the default)")
    .option("--json", "print JSON")
    .action(async (options: DevicesOptions) => {
      const { runDevicesList } = await import("./commands/devices.ts");
      exit(await runDevicesList(context(), options));
    });
  devices
    .command("approve [requestId]")
    .description("show what an approval gives, and give it; without an id only show the newest")
    .option("--latest", "show the newest, and approve nothing")
    .option("--json", "print JSON")
    .action(async (id: string | undefined, options: DevicesOptions & { readonly latest?: boolean }) => {
      const { runDevicesApprove } = await import("./commands/devices.ts");
      exit(await runDevicesApprove(context(), options.latest === true ? undefined : id, options));
    });
  devices
    .command("reject <requestId>")
    .description("refuse a request; the device may ask again")
    .option("--json", "print JSON")
    .action((requestId: string, options: DevicesOptions) =>
      change({ method: "device.pair.reject", params: { requestId }, done: `${requestId} was rejected` }, options),
    );
  devices
    .command("remove <deviceId>")
    .description("forget a device: its connections end, and its next one starts over")
    .option("--json", "print JSON")
    .action((deviceId: string, options: DevicesOptions) =>
      change({ method: "device.pair.remove", params: { deviceId }, done: `${deviceId} was removed` }, options),
    );
  devices
    .command("rename")
    .description("give a device a name of yours")
    .requiredOption("--device <id>", "the device")
    .requiredOption("--name <label>", "the name; empty takes it away")
    .option("--json", "print JSON")
    .action(({ device, name, ...options }: DevicesOptions & { readonly device: string; readonly name: string }) =>
      change({ method: "device.pair.rename", params: { deviceId: device, label: name }, done: "renamed" }, options),
    );
  devices
    .command("rotate")
    .description("replace a device's token; never with more than was approved")
    .requiredOption("--device <id>", "the device")
    .option("--role <role>", "the role", "operator")
    .option("--scope <scopes...>", "the scopes of the new token; as now without it")
    .option("--no-scopes", "a token without scopes")
    .option("--json", "print JSON")
    .action(({ device, role, scope, scopes, ...options }: TokenOptions) => {
      const wanted = scopes === false ? [] : scope;
      const params = { deviceId: device, role, ...(wanted === undefined ? {} : { scopes: wanted }) };
      return change(
        { method: "device.token.rotate", params, done: "the token was replaced", scopes: ["operator.admin"] },
        options,
      );
    });
  devices
    .command("revoke")
    .description("take a device's right back: its connections end, and only a new approval lets it in")
    .requiredOption("--device <id>", "the device")
    .option("--role <role>", "the role", "operator")
    .option("--json", "print JSON")
    .action(({ device, role, ...options }: TokenOptions) =>
      change({ method: "device.token.revoke", params: { deviceId: device, role }, done: "revoked" }, options),
    );
  devices
    .command("invite")
    .description("make a token that lets one device in without a further approval, once, for ten minutes at the most")
    .addOption(new Option("--role <role>", "what it comes as").choices(["operator", "node"]).default("operator"))
    .option("--scope <scopes...>", "what it may have at the most, as an operator's client")
    .option("--for <duration>", "it is over after so long, as 5m", duration)
    .option("--json", "print JSON")
    .action(async (options: InviteOptions) => {
      const { runDevicesInvite } = await import("./commands/nodes.ts");
      exit(await runDevicesInvite(context(), options));
    });
  devices
    .command("clear")
    .description("reject all that waits, and remove all that is approved")
    .option("--pending", "only what waits")
    .option("--yes", "do it")
    .option("--json", "print JSON")
    .action(async (options: DevicesOptions & { readonly yes?: boolean; readonly pending?: boolean }) => {
      const { runDevicesClear } = await import("./commands/devices.ts");
      exit(await runDevicesClear(context(), options));
    });
}
