import { ServiceMetrics } from "../telemetry/service-metrics.js";
import { version } from "../version.js";
import { combine } from "./status.js";
export function adminSource(observable) {
    const metrics = new ServiceMetrics(version, () => observable.certificateDaysLeft());
    return {
        status: async () => combine(await observable.collect('status'), version),
        metrics: async () => metrics.text(await observable.collect('metrics')),
    };
}
