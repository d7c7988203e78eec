/** The value of one series, named as Prometheus prints it, from a gateway's admin port. Rejects if there is none. */
export async function metric(adminPort: number, series: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${series} `))
  if (line === undefined) throw new Error(`there is no ${series} in ${text}`)
  return Number(line.slice(series.length + 1))
}
