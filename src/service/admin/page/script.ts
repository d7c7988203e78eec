/**
 * Asks for the page again every few seconds while somebody looks, puts its picture in place of the old one, and says when
 * it does not get one. A page whose token is refused asks no more: it would use up what wrong tokens its network may show.
 * Written for the browser, in a text, so that its hash can stand in the policy.
 */
export const SCRIPT = `
'use strict'
const RENEW_MS = 5000, PATIENCE_MS = 8000, STALE_MS = 15000
const renewal = document.getElementById('renewal')
let seen = Date.now(), timer, asking = false, refused = false

const tell = (text, stale) => {
  renewal.textContent = text
  document.body.classList.toggle('stale', stale)
  if (stale && !document.title.startsWith('STALE')) document.title = 'STALE · ' + document.title
}

const replace = (text) => {
  const next = new DOMParser().parseFromString(text, 'text/html')
  const picture = next.getElementById('picture'), old = document.getElementById('picture')
  if (!picture) throw new Error('no picture')
  const known = new Map([...old.querySelectorAll('details[id]')].map((one) => [one.id, one.open]))
  for (const one of picture.querySelectorAll('details[id]')) if (known.has(one.id)) one.open = known.get(one.id)
  const before = old.querySelector('#verdict').textContent
  const now = picture.querySelector('#verdict').textContent
  const parts = [...old.querySelectorAll('summary, [tabindex]')]
  const focused = parts.indexOf(document.activeElement)
  const scrolled = [...old.querySelectorAll('.scroll')].map((one) => one.scrollLeft)
  old.replaceWith(document.adoptNode(picture))
  for (const [index, one] of picture.querySelectorAll('.scroll').entries()) one.scrollLeft = scrolled[index] || 0
  if (focused >= 0) picture.querySelectorAll('summary, [tabindex]')[focused]?.focus({ preventScroll: true })
  document.title = next.title
  if (before !== now) document.getElementById('spoken').textContent = now
}

const renew = async () => {
  clearTimeout(timer)
  if (asking || refused || document.hidden) return
  asking = true
  try {
    const reply = await fetch('/', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) })
    refused = reply.status === 401 || reply.status === 429
    if (!reply.ok) throw new Error('status ' + reply.status)
    replace(await reply.text())
    seen = Date.now()
    tell('Renewed every ' + RENEW_MS / 1000 + ' s while you look.', false)
  } catch {
    const age = Math.round((Date.now() - seen) / 1000)
    if (refused) tell('STALE: the admin token is another one now. Reload the page to show it.', true)
    else tell('STALE: the gateway has not answered for ' + age + ' s. What you see is of then.', Date.now() - seen > STALE_MS)
  }
  asking = false
  timer = setTimeout(renew, RENEW_MS)
}

document.addEventListener('visibilitychange', renew)
renew()
`
