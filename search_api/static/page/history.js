// What each step of the browser's history remembers besides its address.

/** Remember something with the present step. */
export const remember = (what) => history.replaceState({ ...history.state, ...what }, "");

/** Where one was in the results at this step, or null. */
export const place = () => history.state?.place ?? null;

/** How many hits must be there for the remembered place to exist. */
export const remembered = () => place()?.loaded ?? 0;
